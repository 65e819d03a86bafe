// Where the viewer stands, and how points of the recording get onto the canvas.

// Pixels above the highest head, for its tag and the stage's buttons; a narrow stage needs two rows of tags.
function room(camera) {
  return camera.width < 560 ? 122 : 96;
}

var HOME = { yaw: 0.42, pitch: 0.2 };
var STANDPOINTS = {
  front: { yaw: 0, pitch: 0.12 },
  angled: HOME,
  side: { yaw: 1.45, pitch: 0.12 },
  top: { yaw: 0, pitch: 1.45 }
};

// Box around nearly all joints that were seen well, and a thinned cloud of them to fit the view to.
function extent(source) {
  var cloud = [],
    bodies = source.track.length,
    stride = Math.max(1, Math.floor((bodies * JOINTS) / 6000));
  for (var i = 0; i < bodies * JOINTS; i += stride) {
    if (source.confidence[i] > 76) {
      cloud.push(
        [0, 1, 2].map(function (c) {
          return source.joints[i * 3 + c] * source.unit;
        })
      );
    }
  }
  if (!cloud.length)
    cloud = source.flat
      ? [
          [0, 0, 0],
          [1, 1, 0]
        ]
      : [
          [-0.5, -1, 2],
          [0.5, 0.8, 3]
        ];
  var box = [0, 1, 2].map(function (c) {
    var sorted = cloud
      .map(function (point) {
        return point[c];
      })
      .sort(function (a, b) {
        return a - b;
      });
    // A sensor's stray joints should not shrink everybody to a dot.
    var low = sorted[Math.floor(sorted.length * 0.004)],
      high = sorted[Math.ceil((sorted.length - 1) * 0.996)];
    return [low, high];
  });
  cloud = cloud.filter(function (point) {
    return point.every(function (value, c) {
      return value >= box[c][0] && value <= box[c][1];
    });
  });
  return { box: box, cloud: cloud, ground: source.flat ? 0 : groundHeight(source, box) };
}

// Height of the floor: where ankles and feet mostly stand, or the lowest joints if no foot was ever seen.
function groundHeight(source, box) {
  var feet = [];
  for (var b = 0; b < source.track.length; b++) {
    [14, 15, 18, 19].forEach(function (v) {
      var i = b * JOINTS + v;
      if (source.confidence[i] > 76) feet.push(source.joints[i * 3 + 1] * source.unit);
    });
  }
  feet.sort(function (a, b) {
    return a - b;
  });
  return feet.length ? feet[Math.floor(feet.length * 0.1)] - 0.03 : box[1][0];
}

function makeCamera(source) {
  var around = extent(source);
  var camera = {
    flat: source.flat,
    box: around.box,
    ground: around.ground,
    width: 1,
    height: 1,
    touched: false,
    yaw: HOME.yaw,
    pitch: HOME.pitch,
    distance: 4,
    zoom: 1,
    panX: 0,
    panY: 0,
    target: around.box.map(function (range) {
      return (range[0] + range[1]) / 2;
    })
  };
  camera.resize = function (width, height) {
    camera.width = width;
    camera.height = height;
    if (!camera.touched) fit(camera, around.cloud);
  };
  camera.stand = function (name) {
    camera.yaw = STANDPOINTS[name].yaw;
    camera.pitch = STANDPOINTS[name].pitch;
    camera.touched = false;
    fit(camera, around.cloud);
  };
  camera.orbit = function (dx, dy) {
    camera.touched = true;
    if (camera.flat) {
      camera.panX += dx;
      camera.panY += dy;
    } else {
      camera.yaw += dx * 0.008;
      camera.pitch = Math.min(1.5, Math.max(-0.25, camera.pitch + dy * 0.006));
    }
  };
  camera.scale = function (factor) {
    camera.touched = true;
    camera.zoom = Math.min(12, Math.max(0.3, camera.zoom * factor));
  };
  return camera;
}

function basis(camera) {
  var sy = Math.sin(camera.yaw),
    cy = Math.cos(camera.yaw),
    sp = Math.sin(camera.pitch),
    cp = Math.cos(camera.pitch);
  // Right is -x at yaw 0: the viewer stands at the sensor, and the person's right is +x.
  return { right: [-cy, 0, sy], up: [sy * sp, cp, cy * sp], ahead: [sy * cp, -sp, cy * cp] };
}

function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// Choose distance (3-D) or scale (2-D) so that the whole recording is in view, with room for the labels above heads.
function fit(camera, cloud) {
  camera.zoom = 1;
  camera.panX = camera.panY = 0;
  if (camera.flat) {
    var wide = Math.max(camera.box[0][1] - camera.box[0][0], 1e-9),
      high = Math.max(camera.box[1][1] - camera.box[1][0], 1e-9);
    camera.pixels = Math.min((camera.width * 0.84) / wide, (camera.height - 2 * room(camera)) / high);
    return;
  }
  var axes = basis(camera),
    focal = focalLength(camera),
    distance = 1,
    above = camera.height * 0.52 - room(camera);
  cloud.forEach(function (point) {
    var p = point.map(function (value, c) {
      return value - camera.target[c];
    });
    var across = (focal * Math.abs(dot(p, axes.right))) / (camera.width * 0.43);
    var along = (focal * Math.abs(dot(p, axes.up))) / (dot(p, axes.up) > 0 ? above : camera.height * 0.41);
    distance = Math.max(distance, Math.max(across, along) - dot(p, axes.ahead));
  });
  camera.distance = distance;
}

function focalLength(camera) {
  return 1.25 * Math.min(camera.height, camera.width * 1.2);
}

// Returns project(x, y, z) -> [x, y, pixels per unit of length, depth], or null behind the viewer.
function projection(camera) {
  if (camera.flat) {
    var scale = camera.pixels * camera.zoom;
    return function (x, y) {
      return [
        camera.width / 2 + camera.panX + (x - camera.target[0]) * scale,
        camera.height * 0.52 + camera.panY + (y - camera.target[1]) * scale,
        scale,
        0
      ];
    };
  }
  var axes = basis(camera),
    focal = focalLength(camera) * camera.zoom,
    target = camera.target;
  return function (x, y, z) {
    var p = [x - target[0], y - target[1], z - target[2]],
      depth = camera.distance + dot(p, axes.ahead);
    if (depth < 0.15) return null;
    return [
      camera.width / 2 + (focal * dot(p, axes.right)) / depth,
      camera.height * 0.52 - (focal * dot(p, axes.up)) / depth,
      focal / depth,
      depth
    ];
  };
}
