"""How well anomalies are told from what is normal: scores of labelled clips, recordings and other tools' pose files."""
