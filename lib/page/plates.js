// Outlines of plates over a photograph: shown, drawn, moved, fitted and removed, by mouse, touch and keyboard.

const SVG = "http://www.w3.org/2000/svg";
const LEAST = 6; // pixels of the screen: a shorter drag is a click

function make(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

const middle = (corners) => [0, 1].map((axis) => corners.reduce((sum, corner) => sum + corner[axis], 0) / 4);
const rectangle = (x, y, w, h) => [[x, y], [x + w, y], [x + w, y + h], [x, y + h]];

export class Outlines {
  // changed() is called after every change by a person; chose() whenever another plate is chosen.
  constructor(svg, { changed, chose }) {
    this.svg = svg;
    this.changed = changed;
    this.chose = chose;
    this.plates = []; // { corners: [[x, y] x 4] in picture pixels, by: "found" or "hand" }
    this.chosen = null;
    this.handles = [0, 1, 2, 3].map(() => make("circle", {}));
    this.width = this.height = 1;
    svg.addEventListener("pointerdown", (event) => this.press(event));
    svg.addEventListener("touchstart", (event) => {
      if (event.target.dataset.plate !== undefined) event.preventDefault(); // a finger on a plate drags, not scrolls
    }, { passive: false });
    svg.addEventListener("keydown", (event) => this.key(event));
    svg.addEventListener("focusin", (event) => this.choose(this.plates[event.target.dataset?.plate] ?? null));
    new ResizeObserver(() => this.draw()).observe(svg);
  }

  show(width, height, plates) {
    [this.width, this.height] = [width, height];
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plates = plates;
    this.chosen = null;
    this.draw();
  }

  // Picture pixels along one pixel of the screen.
  get scale() {
    return this.width / (this.svg.getBoundingClientRect().width || this.width);
  }

  name(plate) {
    const number = this.plates.indexOf(plate) + 1;
    return `Plate ${number} of ${this.plates.length}, ${plate.by === "hand" ? "added by hand" : "found"}`;
  }

  // Nodes that stay are kept, not made anew: one under a finger, or with the focus, must not go away.
  draw() {
    const [edges, nodes, handles] = [[], [], []];
    for (const [index, plate] of this.plates.entries()) {
      plate.nodes ??= [make("polygon", { class: "edge" }), make("polygon", {
        class: plate.by, tabindex: 0, role: "button", "aria-roledescription": "outline",
      })];
      const [edge, node] = plate.nodes;
      const points = plate.corners.map((corner) => corner.join(",")).join(" ");
      for (const each of plate.nodes) each.setAttribute("points", points);
      node.dataset.plate = index;
      node.setAttribute("aria-label", `${this.name(plate)}. Arrow keys move it, with Shift they change its size, Delete removes it.`);
      edges.push(edge);
      nodes.push(node);
    }
    for (const [number, [x, y]] of (this.chosen?.corners ?? []).entries()) {
      const handle = this.handles[number];
      for (const [key, value] of Object.entries({ cx: x, cy: y, r: 7 * this.scale })) handle.setAttribute(key, value);
      Object.assign(handle.dataset, { plate: this.plates.indexOf(this.chosen), corner: number });
      handles.push(handle);
    }
    const wanted = [...edges, ...nodes, ...handles];
    if (this.draft) wanted.push(make("rect", { ...this.draft, class: "draft" }));
    const there = [...this.svg.children];
    for (const old of there) if (!wanted.includes(old)) old.remove();
    for (const [place, node] of wanted.entries()) {
      if (this.svg.children[place] !== node) this.svg.insertBefore(node, this.svg.children[place] ?? null);
    }
  }

  node(plate) {
    return plate.nodes[1];
  }

  choose(plate) {
    if (plate === this.chosen) return;
    this.chosen = plate;
    this.draw();
    this.chose(plate);
  }

  // A plate drawn by hand; without corners in the middle of the picture, to be moved to its place.
  add(corners) {
    const [w, h] = [this.width * 0.22, Math.min(this.width, this.height) * 0.1];
    const plate = { by: "hand", corners: corners ?? rectangle((this.width - w) / 2, (this.height - h) / 2, w, h) };
    this.plates.push(plate);
    this.changed();
    this.choose(plate);
    this.draw();
    this.node(plate).focus({ preventScroll: true });
  }

  // Returns the plate that should be focused now, if there is one.
  remove(plate) {
    const index = this.plates.indexOf(plate);
    this.plates.splice(index, 1);
    this.chosen = null;
    this.draw();
    this.changed();
    this.chose(null);
    return this.plates[Math.min(index, this.plates.length - 1)];
  }

  // Corners kept near enough that something of the plate stays in the picture.
  place(plate, corners) {
    const [x, y] = middle(corners);
    const back = [Math.min(Math.max(x, 0), this.width - 1) - x, Math.min(Math.max(y, 0), this.height - 1) - y];
    plate.corners = corners.map(([cx, cy]) => [cx + back[0], cy + back[1]]);
    this.draw();
  }

  at(event) {
    const box = this.svg.getBoundingClientRect();
    return [(event.clientX - box.left) * this.scale, (event.clientY - box.top) * this.scale];
  }

  press(event) {
    if (event.button !== 0 || !event.isPrimary) return;
    const { plate: index, corner } = event.target.dataset;
    const plate = this.plates[index];
    if (!plate && event.pointerType === "touch") return; // a finger on the photograph scrolls
    event.preventDefault();
    if (plate) {
      this.choose(plate);
      this.node(plate).focus({ preventScroll: true });
    } else {
      document.activeElement?.blur();
      this.choose(null);
    }
    const from = this.at(event);
    const before = plate?.corners;
    const drag = (moved) => {
      const [x, y] = this.at(moved);
      if (!plate) {
        const [left, right] = [from[0], x].map((each) => Math.min(Math.max(each, 0), this.width)).sort((a, b) => a - b);
        const [top, bottom] = [from[1], y].map((each) => Math.min(Math.max(each, 0), this.height)).sort((a, b) => a - b);
        this.draft = { x: left, y: top, width: right - left, height: bottom - top };
        this.draw();
      } else if (corner === undefined) {
        this.place(plate, before.map(([cx, cy]) => [cx + x - from[0], cy + y - from[1]]));
      } else {
        const to = [Math.min(Math.max(x, 0), this.width), Math.min(Math.max(y, 0), this.height)];
        this.place(plate, before.map((each, number) => (number === Number(corner) ? to : each)));
      }
    };
    const end = () => {
      window.removeEventListener("pointermove", drag);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      const draft = this.draft;
      this.draft = null;
      if (draft && Math.min(draft.width, draft.height) >= LEAST * this.scale) {
        this.add(rectangle(draft.x, draft.y, draft.width, draft.height));
      } else {
        this.draw();
        if (plate && plate.corners !== before) this.changed();
      }
    };
    window.addEventListener("pointermove", drag);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  }

  key(event) {
    const plate = this.plates[event.target.dataset?.plate];
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!plate) return;
    if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      const next = this.remove(plate);
      if (next) this.node(next).focus({ preventScroll: true });
      else document.getElementById("add").focus();
    } else if (way) {
      event.preventDefault();
      const step = event.altKey ? 1 : Math.max(1, Math.round(this.width / 100));
      if (event.shiftKey) this.resize(plate, way[0] * step, way[1] * step);
      else this.place(plate, plate.corners.map(([x, y]) => [x + way[0] * step, y + way[1] * step]));
      this.changed();
    }
  }

  // Longer or shorter by dx along its own top side, taller or flatter by dy along its own left side.
  resize(plate, dx, dy) {
    const [topLeft, topRight, , bottomLeft] = plate.corners;
    const [along, down] = [topRight, bottomLeft].map((end) => [end[0] - topLeft[0], end[1] - topLeft[1]]);
    const [wide, tall] = [Math.hypot(...along) || 1, Math.hypot(...down) || 1];
    const [more, taller] = [Math.max(dx, 2 - wide) / 2 / wide, Math.max(dy, 2 - tall) / 2 / tall];
    const signs = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
    this.place(plate, plate.corners.map(([x, y], number) => [
      x + signs[number][0] * along[0] * more + signs[number][1] * down[0] * taller,
      y + signs[number][0] * along[1] * more + signs[number][1] * down[1] * taller,
    ]));
  }
}
