// The joints over the frames of the video that they were seen in. This part is only in pages that hold a video: it
// takes the place of some functions of the other parts, which know nothing of it.

// An image stands for this long where no newer one follows, in seconds, at least.
var IMAGE_HOLD = 0.5;
// Images that are decoded ahead while the page plays.
var IMAGES_AHEAD = 6;

// Pixels above and below the image, for what the stage's corners say.
var ABOVE = 52;
var BELOW = 38;

var film = null;

function makeFilm(raw) {
  var images = new Map();
  var own = { raw: raw, shown: true, request: function () {} };
  var interval = raw.times.length > 1 ? (raw.times[raw.times.length - 1] - raw.times[0]) / 1000 / (raw.times.length - 1) : 0;
  var load = function (i) {
    if (i >= raw.images.length || images.has(i)) return;
    if (images.size > 8 * IMAGES_AHEAD) images.delete(images.keys().next().value);
    var image = new Image();
    image.onload = function () {
      own.request();
    };
    image.src = "data:image/jpeg;base64," + raw.images[i];
    images.set(i, image);
  };
  // {image, time} of the moment t, image being null until it is decoded; null where the video has none.
  own.at = function (t) {
    var i = lastAt(raw.times, 1000 * t + 1);
    if (i < 0 || t - raw.times[i] / 1000 > Math.max(IMAGE_HOLD, 2 * interval)) return null;
    for (var next = i; next < i + IMAGES_AHEAD; next++) load(next);
    return { image: images.get(i).complete ? images.get(i) : null, time: raw.times[i] / 1000 };
  };
  // A joint in pixels of the video: in 3-D by the pinhole that it was placed with; in 2-D it is there already.
  own.place = function (x, y, z, flat) {
    if (flat) return [x, y];
    return z > 0.05 ? [raw.width / 2 - (raw.focal * x) / z, raw.height / 2 - (raw.focal * y) / z] : null;
  };
  return own;
}

// The pose with its joints in pixels of the video; those behind the camera are not seen.
function onImage(pose, flat) {
  addMiddles(pose);
  var depth = 0;
  for (var v = 0; v < JOINTS; v++) {
    var z = pose.points[v * 3 + 2];
    var at = film.place(pose.points[v * 3], pose.points[v * 3 + 1], z, flat);
    if (!at) pose.confidence[v] = 0;
    pose.points.set(at ? [at[0], at[1], 0] : [0, 0, 0], v * 3);
    depth += z / JOINTS;
  }
  pose.depth = depth;
  return pose;
}

function drawFilm(context, source, camera, t, theme, describe) {
  var raw = film.raw,
    scale = Math.min(camera.width / raw.width, (camera.height - ABOVE - BELOW) / raw.height);
  var left = (camera.width - raw.width * scale) / 2,
    top = ABOVE + (camera.height - ABOVE - BELOW - raw.height * scale) / 2;
  var project = function (x, y) {
    return [left + x * scale, top + y * scale, scale, 0];
  };
  var still = film.at(t);
  context.clearRect(0, 0, camera.width, camera.height);
  if (still && still.image) context.drawImage(still.image, left, top, raw.width * scale, raw.height * scale);
  context.strokeStyle = theme.grid;
  context.lineWidth = 1;
  context.strokeRect(left, top, raw.width * scale, raw.height * scale);
  var view = { flat: true, width: camera.width, height: camera.height };
  // Joints of the image's own moment: there are fewer images than frames, and both must fit.
  var bodies = posesAt(source, still ? still.time : t)
    .map(function (pose) {
      return onImage(pose, source.flat);
    })
    .sort(function (one, other) {
      return other.depth - one.depth;
    })
    .map(function (pose) {
      return placeBody(pose, view, project);
    })
    .filter(Boolean);
  var taken = [];
  context.save();
  context.beginPath();
  context.rect(left, top, raw.width * scale, raw.height * scale);
  context.clip();
  bodies.forEach(function (body) {
    body.tag = describe(body.pose.track);
    drawBody(context, body, theme);
  });
  context.restore();
  bodies
    .slice()
    .reverse()
    .forEach(function (body) {
      drawTag(context, body, body.tag, taken, theme, camera.width);
    });
  return 0;
}

drawScene = (function (without) {
  return function (context, source, camera, t, theme, describe) {
    var draw = film && film.shown ? drawFilm : without;
    return draw(context, source, camera, t, theme, describe);
  };
})(drawScene);

decodeSource = (function (without) {
  return function (raw, prompts) {
    film = raw.video ? makeFilm(raw.video) : film;
    return without(raw, prompts);
  };
})(decodeSource);

showNotes = (function (without) {
  return function (root, source, report) {
    without(root, source, report);
    root.firstChild.textContent =
      "This page holds images: " +
      plural(film.raw.images.length, "frame") +
      " of " +
      film.raw.file +
      ", behind 25 joints a person. It holds no sound, and loads nothing from the network.";
  };
})(showNotes);

// The buttons that turn the skeletons in space lead away from the video, one more leads back to it.
listenToStage = (function (without) {
  return function (stage, app) {
    var button = byId("film");
    var show = function (shown) {
      film.shown = shown;
      button.setAttribute("aria-pressed", String(shown));
      app.request();
    };
    film.request = app.request;
    button.addEventListener("click", function () {
      show(!film.shown);
    });
    document.querySelectorAll("#views button").forEach(function (view) {
      view.addEventListener("click", function () {
        show(false);
      });
    });
    show(true);
    without(stage, app);
  };
})(listenToStage);
