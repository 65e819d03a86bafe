// Spans of time packed into as few lanes as they need, and the drawing of one prompt's probability.

// Gives each {start, end} span a `lane`; spans that overlap get different ones. Returns the number of lanes.
function packLanes(spans, least) {
  var ends = [];
  spans
    .slice()
    .sort(function (a, b) {
      return a.start - b.start;
    })
    .forEach(function (span) {
      var lane = ends.findIndex(function (end) {
        return end <= span.start;
      });
      if (lane < 0) lane = ends.push(0) - 1;
      span.lane = lane;
      ends[lane] = Math.max(span.end, span.start + least);
    });
  return Math.max(ends.length, 1);
}

// A round step that puts a tick about every `wish` seconds.
function tickStep(wish) {
  var steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  return (
    steps.find(function (step) {
      return step >= wish;
    }) || 7 * 86400
  );
}

// One line, thinned to the highest and lowest value in each pixel column; a pause in the scores breaks it.
function linePoints(line, column, view, width, hold) {
  var pieces = [],
    piece = null,
    last = -Infinity,
    at = null;
  var from = Math.max(lastAt(line.times, view.from), 0);
  for (var row = from; row < line.times.length; row++) {
    var t = line.times[row],
      value = line.value(row, column);
    if (t - last > hold || !piece) pieces.push((piece = []));
    last = t;
    if (isNaN(value)) {
      piece = null;
      continue;
    }
    var x = ((t - view.from) / (view.to - view.from)) * width;
    if (at && at.piece === piece && Math.floor(x) === at.x) {
      at.low = Math.min(at.low, value);
      at.high = Math.max(at.high, value);
    } else {
      at = { x: Math.floor(x), piece: piece, low: value, high: value };
      piece.push(at);
    }
    if (t > view.to) break;
  }
  return pieces;
}

function drawChart(canvas, height, lines, view, marks, theme) {
  var width = canvas.clientWidth,
    ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.round(height * ratio);
  var context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  var level = function (value) {
    return 2 + (1 - value) * (height - 4);
  };
  context.lineWidth = 1;
  marks.forEach(function (mark) {
    context.strokeStyle = theme.mark;
    context.setLineDash(mark.dash);
    context.beginPath();
    context.moveTo(0, level(mark.value));
    context.lineTo(width, level(mark.value));
    context.stroke();
  });
  context.setLineDash([]);
  lines.forEach(function (line) {
    var peak = { high: -1 };
    context.strokeStyle = context.fillStyle = line.colour;
    linePoints(line.line, line.column, view, width, line.hold).forEach(function (piece) {
      if (!piece.length) return;
      context.beginPath();
      piece.forEach(function (point) {
        context.lineTo(point.x, level(point.high));
        if (point.low !== point.high) context.lineTo(point.x, level(point.low));
        if (point.high > peak.high && point.x >= 0 && point.x <= width) peak = point;
      });
      if (piece.length === 1) context.lineTo(piece[0].x + 2, level(piece[0].high));
      context.lineWidth = 1.6;
      context.lineJoin = "round";
      context.stroke();
      context.lineTo(piece[piece.length - 1].x, height);
      context.lineTo(piece[0].x, height);
      context.globalAlpha = 0.1;
      context.fill();
      context.globalAlpha = 1;
    });
    // The person's number at the highest point, so that lines can be told apart without their colours.
    if (lines.length > 1 && peak.high >= 0.25) {
      context.font = "600 10.5px " + theme.font;
      context.textBaseline = peak.high > 0.7 ? "top" : "bottom";
      context.fillText(line.name, Math.min(peak.x + 3, width - 12), level(peak.high) + (peak.high > 0.7 ? 3 : -1));
    }
  });
}
