// The readout beside the stage: how well each prompt describes what a person does at the moment.

// Up to this many prompts are all shown; of more, the best few.
var ALL_METERS = 8;
var TOP_METERS = 6;

function makeReadout(root, source, app) {
  var prompts = app.report.prompts,
    few = prompts.length <= ALL_METERS;
  var cards = new Map();

  // Few prompts are all shown, each in its place; of many, those that fit best at the moment.
  function chosen(line, row) {
    var columns = prompts.map(function (_, column) {
      return column;
    });
    if (few) return columns;
    return columns
      .sort(function (a, b) {
        return line.value(row, b) - line.value(row, a);
      })
      .slice(0, TOP_METERS);
  }

  function meter(className) {
    var fill = element("i", "fill"),
      value = element("span", "value"),
      bar = element("span", "bar-track", fill);
    if (!className) {
      var mark = element("i", "enter");
      mark.style.left = app.report.enter * 100 + "%";
      bar.append(mark);
    }
    var label = element("span", "name");
    var node = element("div", "meter " + (className || ""), label, bar, value);
    return {
      node: node,
      set: function (name, share) {
        if (label.textContent !== name) label.textContent = label.title = name;
        fill.style.width = Math.min(Math.max(share, 0), 1) * 100 + "%";
        value.textContent = percent(share);
        node.classList.toggle("over", !className && share >= app.report.enter);
      }
    };
  }

  function makeCard(track) {
    var card = {
      meters: prompts.slice(0, few ? ALL_METERS : TOP_METERS).map(function () {
        return meter();
      }),
      rest: meter("rest")
    };
    card.state = element("span", "state");
    card.body = element("div", "meters");
    card.meters.forEach(function (one) {
      card.body.append(one.node);
    });
    card.body.append(card.rest.node);
    card.wait = element("p", "wait", "Not scored at this moment.");
    var dot = element("span", "dot");
    dot.style.setProperty("--bar", app.colour(track).css);
    card.node = element(
      "section",
      "person",
      element("header", "", dot, element("b", "", app.person(track)), card.state),
      card.body,
      card.wait
    );
    root.append(card.node);
    return card;
  }

  return function (t, present, open) {
    cards.forEach(function (card, track) {
      if (present.indexOf(track) < 0) {
        card.node.remove();
        cards.delete(track);
      }
    });
    present.forEach(function (track) {
      var card = cards.get(track) || makeCard(track),
        line = source.lines.get(track);
      cards.set(track, card);
      var row = line ? rowAt(line, t, app.scoreHold(source)) : -1,
        rest = 1;
      card.body.hidden = row < 0;
      card.wait.hidden = row >= 0;
      for (var column = 0; row >= 0 && column < prompts.length; column++) rest -= line.value(row, column);
      if (row >= 0) {
        chosen(line, row).forEach(function (column, i) {
          card.meters[i].set(words(prompts[column].name), line.value(row, column));
        });
        card.rest.set("none of these", Math.max(rest, 0));
      }
      var event = gravest(
        open.filter(function (one) {
          return one.track === track;
        })
      );
      card.state.className = "state" + (event ? " badge " + event.severity : "");
      card.state.textContent = event ? GLYPHS[event.severity] + " " + words(event.name) : "";
    });
    root.classList.toggle("nobody", !present.length);
  };
}
