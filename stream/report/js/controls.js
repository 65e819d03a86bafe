// What the reader's hands do: pointer and wheel on the stage, buttons, keys.

// Dragging orbits, pinching and the wheel zoom.
function listenToStage(stage, app) {
  var pointers = new Map(),
    reach = 0;
  var spread = function () {
    var points = Array.from(pointers.values());
    return Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]);
  };
  stage.addEventListener("pointerdown", function (event) {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (pointers.size === 2) reach = spread();
  });
  stage.addEventListener("pointermove", function (event) {
    var last = pointers.get(event.pointerId);
    if (!last) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (pointers.size === 2) {
      app.camera.scale(spread() / Math.max(reach, 1));
      reach = spread();
    } else if (pointers.size === 1) app.camera.orbit(event.clientX - last[0], event.clientY - last[1]);
    app.request();
  });
  ["pointerup", "pointercancel"].forEach(function (name) {
    stage.addEventListener(name, function (event) {
      pointers.delete(event.pointerId);
    });
  });
  stage.addEventListener(
    "wheel",
    function (event) {
      // A wheel over a stage that was never touched scrolls the page, as its reader expects.
      if (!event.ctrlKey && document.activeElement !== stage) return;
      event.preventDefault();
      app.camera.scale(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)));
      app.request();
    },
    { passive: false }
  );
  stage.addEventListener("dblclick", function () {
    app.camera.stand("angled");
    app.request();
  });
  document.querySelectorAll("#views button").forEach(function (button) {
    button.addEventListener("click", function () {
      app.camera.stand(button.dataset.view);
      app.request();
    });
  });
  [
    ["closer", 1.25],
    ["further", 0.8]
  ].forEach(function (pair) {
    byId(pair[0]).addEventListener("click", function () {
      app.camera.scale(pair[1]);
      app.request();
    });
  });
}

function listenToControls(scrub, app) {
  byId("play").addEventListener("click", function () {
    app.play(!app.playing);
  });
  byId("back").addEventListener("click", function () {
    app.toEvent(-1);
  });
  byId("forth").addEventListener("click", function () {
    app.toEvent(1);
  });
  byId("speed").addEventListener("change", function () {
    app.speed = Number(byId("speed").value);
  });
  scrub.addEventListener("input", function () {
    app.pause();
    app.seek(Number(scrub.value));
  });
  byId("rows").addEventListener("click", function () {
    app.timeline.all = !app.timeline.all;
    app.timeline.build();
    app.showLegend();
  });
  byId("zoom-in").addEventListener("click", function () {
    app.timeline.zoom(0.5);
  });
  byId("zoom-out").addEventListener("click", function () {
    app.timeline.zoom(2);
  });
  var keys = {
    " ": function () {
      app.play(!app.playing);
    },
    ArrowLeft: function (event) {
      event.shiftKey ? app.seek(app.time - 1) : app.step(-1);
    },
    ArrowRight: function (event) {
      event.shiftKey ? app.seek(app.time + 1) : app.step(1);
    },
    Home: function () {
      app.seek(0);
    },
    End: function () {
      app.seek(app.duration);
    },
    n: function () {
      app.toEvent(1);
    },
    p: function () {
      app.toEvent(-1);
    }
  };
  document.addEventListener("keydown", function (event) {
    var inside = event.target.closest ? event.target.closest("button, select, input, summary") : null;
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    // What a focused control does with the key comes first, but for the scrubber, which steps by frames as well.
    if (inside && inside !== scrub && (event.key === " " || inside.tagName === "SELECT")) return;
    event.preventDefault();
    keys[event.key](event);
  });
  window.addEventListener("resize", app.resize);
  var recolour = function () {
    app.theme = readTheme();
    app.timeline.draw();
    app.request();
  };
  ["(prefers-color-scheme: dark)", "(prefers-reduced-motion: reduce)"].forEach(function (query) {
    matchMedia(query).addEventListener("change", recolour);
  });
}
