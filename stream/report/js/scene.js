// The skeletons on their ground, drawn for one moment of the recording.

// Shapes that tell severities apart without their colours, in rising order.
var GLYPHS = { info: "\u25cf", alert: "\u25b2", critical: "\u25c6" };

function drawGrid(context, camera, project, theme) {
  var box = camera.box,
    span = Math.max(box[0][1] - box[0][0], box[2][1] - box[2][0]);
  var step = span > 12 ? 2 : span > 5 ? 1 : 0.5,
    reach = Math.max(span / 2 + 1.6, 2.4);
  var middle = [camera.target[0], camera.target[2]];
  var from = middle.map(function (value) {
    return Math.floor((value - reach) / step);
  });
  var to = middle.map(function (value) {
    return Math.ceil((value + reach) / step);
  });
  context.strokeStyle = theme.grid;
  context.lineWidth = 1;
  // Short pieces, each as faint as it is far from the middle, so that the ground has no edge.
  var piece = function (x0, z0, x1, z1) {
    var away = Math.hypot((x0 + x1) / 2 - middle[0], (z0 + z1) / 2 - middle[1]) / (reach * 1.05);
    var a = away < 1 && project(x0, camera.ground, z0),
      b = a && project(x1, camera.ground, z1);
    if (!a || !b) return;
    context.globalAlpha = Math.pow(1 - away * away, 1.3);
    context.beginPath();
    context.moveTo(a[0], a[1]);
    context.lineTo(b[0], b[1]);
    context.stroke();
  };
  for (var i = from[0]; i <= to[0]; i++) {
    for (var j = from[1]; j <= to[1]; j++) {
      piece(i * step, j * step, (i + 1) * step, j * step);
      piece(i * step, j * step, i * step, (j + 1) * step);
    }
  }
  context.globalAlpha = 1;
  return step;
}

function drawShadow(context, body, camera, project, theme) {
  context.strokeStyle = theme.shadow;
  context.lineCap = "round";
  context.lineWidth = Math.max(2, 0.075 * body.metre);
  context.beginPath();
  bonesOf(body.pose).forEach(function (bone) {
    var ends = bone.map(function (v) {
      return project(body.pose.points[v * 3], camera.ground, body.pose.points[v * 3 + 2]);
    });
    if (!ends[0] || !ends[1]) return;
    context.moveTo(ends[0][0], ends[0][1]);
    context.lineTo(ends[1][0], ends[1][1]);
  });
  context.stroke();
}

// A ring at the feet tells of an open alarm, and a second one spreads from it.
function drawRing(context, body, camera, project, colour, spread) {
  var low = body.joints.reduce(function (a, b) {
    return b && (!a || b[1] > a[1]) ? b : a;
  }, null);
  var middle = camera.flat && project(body.base[0], body.base[1]);
  var circle = function (radius) {
    context.beginPath();
    for (var i = 0; i < 64; i++) {
      var c = Math.cos((i / 32) * Math.PI) * radius,
        s = Math.sin((i / 32) * Math.PI) * radius;
      var point = camera.flat
        ? [middle[0] + c * body.metre, low[1] + 0.22 * s * body.metre]
        : project(body.base[0] + c, camera.ground, body.base[2] + s);
      if (point) context.lineTo(point[0], point[1]);
    }
    context.closePath();
  };
  context.strokeStyle = context.fillStyle = colour;
  circle(0.48);
  context.globalAlpha = 0.14;
  context.fill();
  context.globalAlpha = 1;
  context.lineWidth = 2.5;
  context.stroke();
  circle(0.48 + 0.22 * spread);
  context.globalAlpha = 0.6 * (1 - spread);
  context.stroke();
  context.globalAlpha = 1;
}

// The name tag above a head, moved up until it hides no other one.
function drawTag(context, body, tag, taken, theme, width) {
  context.font = "600 12px " + theme.font;
  var text = tag.event ? GLYPHS[tag.event.severity] + " " + tag.label + " \u00b7 " + tag.event.label : tag.label;
  while (context.measureText(text).width > width - 40 && text.length > 4) text = text.slice(0, -2) + "\u2026";
  var wide = context.measureText(text).width + 20,
    high = 24;
  var x = Math.min(Math.max(body.top[0] - wide / 2, 6), Math.max(width - wide - 6, 6));
  // Where the stage's buttons are, tags stay below them.
  var least = x + wide > width - 300 ? 52 : 6;
  var y = Math.max(body.top[1] - 0.16 * body.metre - high - 4, least);
  var hides = function (other) {
    return x < other[0] + other[2] && other[0] < x + wide && y < other[1] + high && other[1] < y + high;
  };
  while (y > least && taken.some(hides)) y = Math.max(y - 5, least);
  taken.push([x, y, wide]);
  context.beginPath();
  context.roundRect(x, y, wide, high, 12);
  context.fillStyle = tag.event ? theme[tag.event.severity] : theme.surface;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = tag.event ? theme.surface : tag.colour;
  context.stroke();
  context.fillStyle = tag.event ? theme.onFill : theme.ink;
  context.textBaseline = "middle";
  context.fillText(text, x + 10, y + high / 2 + 0.5);
}

// Draw the moment t; describe(track) -> {label, colour, pale, event or null}. Returns the grid's step in metres.
function drawScene(context, source, camera, t, theme, describe) {
  var project = projection(camera),
    step = 0;
  context.clearRect(0, 0, camera.width, camera.height);
  if (camera.flat) {
    var a = project(camera.box[0][0], camera.box[1][0]),
      b = project(camera.box[0][1], camera.box[1][1]);
    context.strokeStyle = theme.grid;
    context.lineWidth = 1;
    context.strokeRect(a[0] - 24, a[1] - 40, b[0] - a[0] + 48, b[1] - a[1] + 64);
  } else {
    step = drawGrid(context, camera, project, theme);
  }
  var bodies = posesAt(source, t)
    .map(function (pose) {
      return placeBody(pose, camera, project);
    })
    .filter(Boolean);
  bodies.sort(function (one, other) {
    return other.depth - one.depth;
  });
  bodies.forEach(function (body) {
    body.tag = describe(body.pose.track);
  });
  if (!camera.flat)
    bodies.forEach(function (body) {
      drawShadow(context, body, camera, project, theme);
    });
  bodies.forEach(function (body) {
    var event = body.tag.event;
    if (event && event.severity !== "info") {
      drawRing(context, body, camera, project, theme[event.severity], theme.still ? 0.5 : (t % 1.2) / 1.2);
    }
  });
  bodies.forEach(function (body) {
    drawBody(context, body, theme);
  });
  var taken = [];
  bodies
    .slice()
    .reverse()
    .forEach(function (body) {
      drawTag(context, body, body.tag, taken, theme, camera.width);
    });
  return step;
}
