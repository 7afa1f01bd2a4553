// Where the reader draws: mouse, finger, or a pen that the arrow keys move. Or one of the test digits.
lab.pad = (() => {
  const { SIZE, element } = lab;
  const FINE = 10; // canvas pixels per pixel of the digit
  const PEN = 0.075; // as wide as it looks on the pad, which is 1 wide
  const STEP = 1 / 28;
  const USAGE =
    "Drawing pad. Arrow keys move the pen, the space bar puts it down or lifts it, Backspace undoes, Escape clears.";
  let strokes = [];
  let chosen = null; // a test digit instead of strokes
  let drawing = false;
  let pen = { x: 0.5, y: 0.25, down: false };
  let turn = {}; // which test digit of each class comes next
  const canvas = element("canvas", {
    class: "lab-pad", width: SIZE * FINE, height: SIZE * FINE, tabindex: 0, role: "application", "aria-label": USAGE,
  });
  const preview = lab.picture("what the networks see", { small: true });
  const said = element("p", { class: "lab-said", "aria-live": "polite" });
  let hint;

  function redraw() {
    const context = canvas.getContext("2d");
    const width = canvas.width;
    context.fillStyle = "black";
    context.fillRect(0, 0, width, width);
    if (chosen) {
      context.imageSmoothingEnabled = false;
      context.drawImage(preview.canvas, 0, 0, width, width);
    }
    Object.assign(context, { strokeStyle: "white", lineWidth: PEN * width, lineCap: "round", lineJoin: "round" });
    for (const stroke of strokes) {
      context.beginPath();
      for (const [x, y] of stroke) context.lineTo(x * width, y * width);
      context.lineTo(stroke.at(-1)[0] * width + 0.01, stroke.at(-1)[1] * width);
      context.stroke();
    }
    if (document.activeElement === canvas && canvas.matches(":focus-visible")) {
      context.beginPath();
      context.arc(pen.x * width, pen.y * width, (PEN * width) / 2, 0, 7);
      Object.assign(context, { lineWidth: 3, strokeStyle: pen.down ? "#e69f00" : "#56b4e9" });
      context.stroke();
    }
    hint.hidden = Boolean(chosen || strokes.length);
  }

  /** Hand the digit on; `settled` is false while the pen still moves. */
  function changed(settled, start = performance.now()) {
    const image = chosen ?? lab.centred(strokes);
    preview.show(image, {}, "what the networks see");
    redraw();
    lab.setDigit(image, { settled, start });
  }

  function restart() {
    if (chosen) [chosen, strokes] = [null, []];
  }

  const place = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    restart();
    drawing = true;
    strokes.push([place(event)]);
    changed(false);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    const start = performance.now();
    const seen = event.getCoalescedEvents?.() ?? [];
    for (const each of seen.length ? seen : [event]) strokes.at(-1).push(place(each));
    changed(false, start);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, () => {
      if (drawing) [drawing] = [false, changed(true)];
    });
  }

  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.key in moves) {
      const [right, down] = moves[event.key];
      const inside = (value) => Math.min(Math.max(value, PEN / 2), 1 - PEN / 2);
      pen = { ...pen, x: inside(pen.x + right * STEP), y: inside(pen.y + down * STEP) };
      if (pen.down) strokes.at(-1).push([pen.x, pen.y]);
      if (pen.down) changed(true);
      else redraw();
    } else if (event.key === " ") {
      pen.down = !pen.down;
      said.textContent = pen.down ? "Pen down." : "Pen up.";
      if (pen.down) {
        restart();
        strokes.push([[pen.x, pen.y]]);
      }
      changed(true);
    } else if (event.key === "Backspace") undo();
    else if (event.key === "Escape") clear();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", redraw);
  canvas.addEventListener("blur", () => {
    pen.down = false;
    redraw();
  });

  function clear() {
    [chosen, strokes, pen.down] = [null, [], false];
    changed(true);
  }

  function undo() {
    chosen = null;
    strokes.pop();
    pen.down = false;
    changed(true);
  }

  /** Show the next test digit of a class. */
  function pick(digit) {
    const places = lab.facts.labels.flatMap((label, at) => (label === digit ? [at] : []));
    turn[digit] = ((turn[digit] ?? -1) + 1) % places.length;
    const start = places[turn[digit]] * SIZE * SIZE;
    [strokes, pen.down] = [[], false];
    chosen = Float32Array.from(lab.facts.digits.subarray(start, start + SIZE * SIZE), (value) => value / 255);
    changed(true);
  }

  function build(place) {
    hint = element("p", { class: "lab-hint", "aria-hidden": "true" }, "draw a digit here");
    const buttons = [...Array(10).keys()].map((digit) =>
      element("button", { type: "button", "aria-label": `pick a test ${digit}`, onclick: () => pick(digit) }, digit),
    );
    place.append(
      element("div", { class: "lab-surface" }, canvas, hint),
      element("div", { class: "lab-row" },
        element("div", { class: "lab-stack" },
          element("button", { type: "button", onclick: clear }, "Clear"),
          element("button", { type: "button", onclick: undo }, "Undo")),
        preview.figure,
      ),
      element("p", { class: "lab-label", id: "lab-pick" }, "or pick a test digit"),
      element("div", { class: "lab-keys", role: "group", "aria-labelledby": "lab-pick" }, ...buttons),
      said,
    );
  }

  return { build, pick, clear };
})();
