// One body: which bones it has, where they lie on the canvas, and how they are drawn.

// Parent of each joint of the 25-joint layout; a bone runs from a joint to its nearest ancestor that was seen.
var PARENT = [-1, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11];
var LEFT = [4, 5, 6, 7, 12, 13, 14, 15, 21, 22];
var FINE = [21, 22, 23, 24];
var HEAD = 3;
// Below this confidence a joint's bones are dashed.
var LOW = 0.5;
// Middles that stand in, on the drawing only, for a neck base or a hip centre that was not given: [joint, left, right].
var MIDDLES = [
  [20, 4, 8],
  [0, 12, 16]
];

function bonesOf(pose) {
  var bones = [];
  var seen = function (v) {
    return pose.confidence[v] > 0;
  };
  for (var v = 0; v < JOINTS; v++) {
    if (!seen(v)) continue;
    var parent = PARENT[v];
    while (parent >= 0 && !seen(parent)) parent = PARENT[parent];
    if (parent >= 0) bones.push([v, parent]);
  }
  return bones;
}

// Size of a body against a grown-up in metres: 1 in 3-D; in 2-D, whose unit is anybody's guess, from its extent.
function bodySize(pose, flat) {
  if (!flat) return 1;
  var low = [Infinity, Infinity],
    high = [-Infinity, -Infinity];
  for (var v = 0; v < JOINTS; v++) {
    if (!pose.confidence[v]) continue;
    for (var c = 0; c < 2; c++) {
      low[c] = Math.min(low[c], pose.points[v * 3 + c]);
      high[c] = Math.max(high[c], pose.points[v * 3 + c]);
    }
  }
  return Math.max(high[0] - low[0], high[1] - low[1], 0) / 1.75;
}

function addMiddles(pose) {
  MIDDLES.forEach(function (rule) {
    var confidence = Math.min(pose.confidence[rule[1]], pose.confidence[rule[2]]);
    if (pose.confidence[rule[0]] || !confidence) return;
    pose.confidence[rule[0]] = confidence;
    for (var c = 0; c < 3; c++) {
      pose.points[rule[0] * 3 + c] = (pose.points[rule[1] * 3 + c] + pose.points[rule[2] * 3 + c]) / 2;
    }
  });
}

// A pose on the canvas: joints as projected points (null where unseen), size in pixels per metre, depth.
function placeBody(pose, camera, project) {
  addMiddles(pose);
  var joints = [],
    depth = 0,
    count = 0,
    top = null,
    base = [0, 0, 0];
  for (var v = 0; v < JOINTS; v++) {
    var x = pose.points[v * 3],
      y = pose.points[v * 3 + 1],
      z = pose.points[v * 3 + 2];
    var point = pose.confidence[v] > 0 ? project(x, y, z) : null;
    joints.push(point);
    if (!point) continue;
    depth += point[3];
    count++;
    base = [base[0] + x, base[1] + y, base[2] + z];
    if (!top || point[1] < top[1]) top = point;
  }
  if (joints[HEAD]) top = joints[HEAD];
  if (!count) return null;
  var metre = (joints[0] || joints[20] || top)[2] * bodySize(pose, camera.flat);
  return {
    pose: pose,
    joints: joints,
    depth: depth / count,
    top: top,
    metre: metre,
    base: base.map(function (value) {
      return value / count;
    })
  };
}

// Bones from far to near, each with a gap around its middle where it passes in front of another.
function drawBody(context, body, theme) {
  var tag = body.tag,
    alarm = tag.event && tag.event.severity !== "info";
  var bones = bonesOf(body.pose).filter(function (bone) {
    return body.joints[bone[0]] && body.joints[bone[1]];
  });
  bones.sort(function (a, b) {
    return boneDepth(body, b) - boneDepth(body, a);
  });
  context.lineCap = "round";
  if (alarm) {
    bones.forEach(function (bone) {
      if (!isLow(body, bone))
        strokeBone(context, body, bone, theme[tag.event.severity], boneWidth(body, bone) + outline(body), 0);
    });
  }
  bones.forEach(function (bone) {
    var width = boneWidth(body, bone);
    if (isLow(body, bone)) {
      context.globalAlpha = 0.6;
      context.setLineDash([width * 0.5, width * 1.6]);
      strokeBone(context, body, bone, tag.colour, width * 0.75, 0);
      context.setLineDash([]);
      context.globalAlpha = 1;
    } else {
      strokeBone(context, body, bone, alarm ? theme[tag.event.severity] : theme.surface, width + 4, width * 1.2);
      strokeBone(context, body, bone, LEFT.indexOf(bone[0]) >= 0 ? tag.pale : tag.colour, width, 0);
    }
  });
  body.joints.forEach(function (point, v) {
    if (point && FINE.indexOf(v) < 0) drawJoint(context, body, point, v, theme, alarm);
  });
}

function drawJoint(context, body, point, v, theme, alarm) {
  var low = body.pose.confidence[v] < LOW,
    head = v === HEAD;
  if (low && !head) return;
  context.beginPath();
  context.arc(point[0], point[1], Math.max(1.2, (head ? 0.092 : 0.011) * body.metre), 0, 2 * Math.PI);
  if (low) {
    context.strokeStyle = body.tag.colour;
    context.lineWidth = 1.5;
    context.setLineDash([3, 3]);
    context.stroke();
    context.setLineDash([]);
    return;
  }
  if (head) {
    context.lineWidth = alarm ? outline(body) : 4;
    context.strokeStyle = alarm ? theme[body.tag.event.severity] : theme.surface;
    context.stroke();
  }
  context.fillStyle = head ? body.tag.colour : theme.surface;
  context.fill();
}

function isLow(body, bone) {
  return Math.min(body.pose.confidence[bone[0]], body.pose.confidence[bone[1]]) < LOW;
}

function boneWidth(body, bone) {
  return Math.max(1.6, (FINE.indexOf(bone[0]) >= 0 ? 0.024 : 0.044) * body.metre);
}

function outline(body) {
  return Math.min(8, Math.max(3.5, 0.05 * body.metre));
}

// One bone, `inset` pixels shorter at both ends.
function strokeBone(context, body, bone, style, width, inset) {
  var a = body.joints[bone[0]],
    b = body.joints[bone[1]],
    dx = b[0] - a[0],
    dy = b[1] - a[1];
  var length = Math.hypot(dx, dy),
    cut = length ? inset / length : 0;
  if (cut >= 0.5) return;
  context.strokeStyle = style;
  context.lineWidth = width;
  context.lineCap = inset ? "butt" : "round";
  context.beginPath();
  context.moveTo(a[0] + dx * cut, a[1] + dy * cut);
  context.lineTo(b[0] - dx * cut, b[1] - dy * cut);
  context.stroke();
}

function boneDepth(body, bone) {
  return (body.joints[bone[0]][3] + body.joints[bone[1]][3]) / 2;
}
