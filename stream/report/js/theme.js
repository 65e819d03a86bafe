// The style sheet's colours, for what is drawn on canvases.

var TRACK_COLOURS = 6;

function mix(colour, other, share) {
  var parts = [colour, other].map(function (hex) {
    return [1, 3, 5].map(function (i) {
      return parseInt(hex.slice(i, i + 2), 16);
    });
  });
  return (
    "rgb(" +
    parts[0]
      .map(function (value, i) {
        return Math.round(value + share * (parts[1][i] - value));
      })
      .join(",") +
    ")"
  );
}

function readTheme() {
  var style = getComputedStyle(document.documentElement);
  var get = function (name) {
    return style.getPropertyValue("--" + name).trim();
  };
  var theme = {
    font: style.fontFamily,
    still: matchMedia("(prefers-reduced-motion: reduce)").matches,
    tracks: [],
    onFill: get("on-fill"),
    shadow: get("shadow"),
    grid: get("grid"),
    mark: get("mark")
  };
  ["info", "alert", "critical", "ink"].forEach(function (name) {
    theme[name] = get(name);
  });
  theme.surface = get("stage");
  for (var i = 0; i < TRACK_COLOURS; i++) theme.tracks.push(get("track-" + i));
  return theme;
}
