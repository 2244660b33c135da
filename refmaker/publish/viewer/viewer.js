// The page of `refmaker view`. All that comes from a set is shown as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const LEFT = 72, RIGHT = 12, TOP = 8, BOTTOM = 40;
let set, chosen, about, at, view, mode, mark = null, along = "", playing = null, first = 0;
let pictureURL = "";
const known = {}; // labels, in blocks

// ---- asking -------------------------------------------------------------------------------

const asked = {};
async function ask(what, parameters = {}, alone = what) {
  asked[alone]?.abort();
  const control = asked[alone] = new AbortController();
  const slow = setTimeout(() => { $("busy").textContent = "reading…"; }, 250);
  try {
    const answer = await fetch(`api/${what}?${new URLSearchParams(parameters)}`, { signal: control.signal });
    if (answer.headers.get("content-type") === "image/png") return await answer.blob();
    const found = await answer.json();
    if (found.error) throw new Error(found.error);
    return found;
  } finally {
    clearTimeout(slow);
    if (asked[alone] === control) { delete asked[alone]; if (!Object.keys(asked).length) $("busy").textContent = ""; }
  }
}

function guarded(work) {
  return async (...given) => {
    try { return await work(...given); } catch (error) {
      if (error.name === "AbortError") return undefined;
      if (error instanceof TypeError && /fetch|network/i.test(error.message)) problem("The server has stopped: start refmaker view again.");
      else problem(error.message);
      return undefined;
    }
  };
}

function problem(text) { $("problem").textContent = text; $("problem").hidden = !text; }

function make(name, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...inside);
  return element;
}

function draw(parent, name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

const round = (value) => String(+value.toPrecision(6));

// ---- variables ----------------------------------------------------------------------------

function shape(dims) { return dims.map(([name, size]) => `${name} ${size.toLocaleString("en")}`).join(" × "); }

function listed() {
  const wanted = $("filter").value.toLowerCase();
  const tree = $("tree");
  const open = tree.querySelector("details")?.open;
  tree.replaceChildren();
  const beside = make("details", {}, make("summary", { textContent: "Coordinates and values" }));
  let left = 1000;
  const homes = new Map();
  for (const one of set.subjects.filter((each) => `${each.path} ${each.title}`.toLowerCase().includes(wanted))) {
    if (left-- === 0) { tree.append(make("small", { textContent: "There are more: filter them." })); break; }
    const part = one.beside ? beside : tree;
    const home = one.path.split("/").slice(0, -1).join("/"), name = one.path.split("/").pop() || "/";
    if (home !== (homes.get(part) ?? "")) part.append(make("h3", { textContent: home || "/" }));
    homes.set(part, home);
    const button = make("button", { type: "button", title: one.path }, name);
    const more = one.title !== name ? one.title : shape(one.shape);
    if (more) button.append(make("small", { textContent: more }));
    button.setAttribute("aria-current", String(one.path === chosen?.path));
    button.addEventListener("click", () => { $("side").classList.remove("open"); select(one); });
    part.append(button);
    if (part === beside && one.path === chosen?.path) beside.open = true;
  }
  if (beside.childElementCount > 1) { beside.open ||= Boolean(open || wanted) || tree.childElementCount === 0; tree.append(beside); }
}

function ways(one) {
  if (one.kind === "table") return ["table"];
  const found = one.kind === "lines" ? ["lines"] : ["map"];
  if (set.volumes && one.volume) found.push("volume");
  if (one.kind === "lines" && one.shape.length === 1) found.push("table");
  return found;
}

const select = guarded(async (one, way) => {
  stop();
  problem("");
  chosen = one; mark = null; about = null; first = 0;
  const known = ways(one);
  mode = known.includes(way) ? way : one.deep && known.includes("volume") ? "volume" : known[0];
  listed();
  $("title").textContent = one.title || one.path;
  document.title = `${one.title || one.path} – ${set.name}`;
  $("about").textContent = [one.path, shape(one.shape), one.units].filter(Boolean).join("  ·  ");
  history.replaceState(null, "", `#${encodeURIComponent(one.path)}${mode === known[0] ? "" : `&${mode}`}`);
  const modes = $("modes");
  modes.replaceChildren();
  const names = { map: "Picture", lines: "Line", volume: "Volume", table: "Table" };
  for (const each of known.length > 1 ? known : []) {
    const button = make("button", { type: "button", textContent: names[each] });
    button.setAttribute("aria-pressed", String(each === mode));
    button.addEventListener("click", () => select(one, each));
    modes.append(button);
  }
  for (const part of ["map", "table", "volume"]) $(part).hidden = part !== (mode === "lines" ? "map" : mode);
  if (mode !== "volume") $("volume").firstElementChild.removeAttribute("src");
  if (mode === "volume") await showVolume();
  else if (mode === "table") await showTable();
  else await showPicture();
});

// ---- volumes ------------------------------------------------------------------------------

async function showVolume() {
  const frame = $("volume").firstElementChild;
  const { url } = await ask("volume", { v: chosen.path, width: frame.clientWidth, height: frame.clientHeight });
  frame.src = url;
  const link = make("a", { href: url, target: "_blank", rel: "noopener", textContent: "Alone ↗" });
  $("modes").append(link);
}

// ---- tables -------------------------------------------------------------------------------

async function showTable() {
  const found = await ask("table", { v: chosen.path, start: first });
  const body = found.rows.map((row, i) => make("tr", {}, ...[first + i, ...row].map((text) => make("td", { textContent: text }))));
  const head = make("tr", {}, ...["", ...found.columns].map((text) => make("th", { textContent: text })));
  $("rows").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
  const last = first + found.rows.length;
  $("pages").hidden = found.size <= found.rows.length;
  $("pages").children[1].textContent = `${first + 1}–${last} of ${found.size.toLocaleString("en")}` + (found.more ? `; ${found.more} more columns` : "");
  $("before").disabled = first === 0;
  $("after").disabled = last >= found.size;
}

// ---- pictures -----------------------------------------------------------------------------

async function showPicture() {
  const path = chosen.path;
  for (const part of ["figure", "scale", "lines", "whole"]) $(part).hidden = true;
  $("sliders").replaceChildren(); $("caption").textContent = ""; $("value").textContent = ""; $("help").textContent = "";
  const found = await ask("variable", { v: path });
  if (chosen.path !== path) return;
  about = found;
  at = Object.fromEntries(about.sliders.map((one) => [one.dim, one.at]));
  view = { rows: about.part[0] ?? [0, about.rows.size], columns: about.part[1] ?? [0, about.columns.size] };
  along = (about.sliders.find((one) => one.size > 1) ?? {}).dim ?? "";
  $("about").textContent = [about.path, shape(about.shape), about.dtype, about.crs].filter(Boolean).join("  ·  ");
  $("units").textContent = about.units;
  $("colours").value = about.colours;
  $("low").value = round(about.low); $("high").value = round(about.high);
  sliders();
  if (about.line) { along = about.columns.dim; await Promise.all([showLine(), caption()]); return; }
  for (const part of ["figure", "scale"]) $(part).hidden = false;
  for (const part of ["low", "bar", "high", "colours", "fit"]) $(part).hidden = about.rgb || about.kinds.length > 0;
  $("kinds").replaceChildren(...about.kinds.map(([, name, colour]) => {
    const box = make("i");
    box.style.background = colour;
    return make("span", {}, box, name);
  }));
  const moves = about.sliders.filter((one) => one.size > 1).length;
  $("help").textContent = [
    moves ? "Arrow keys: previous, next." + (moves > 1 ? " Up and down: the second slider." : "") + " Space: play." : "",
    along ? "Click: values along " + along + " at a place." : "", "Drag: a part.",
  ].filter(Boolean).join(" ");
  place();
  await redraw();
}

function sliders() {
  const all = about.sliders.filter((one) => one.size > 1);
  $("sliders").replaceChildren(...all.map((one, i) => {
    const input = make("input", { type: "range", min: 0, max: one.size - 1, value: at[one.dim], id: `at-${i}` });
    const label = make("label", { htmlFor: `at-${i}`, textContent: one.label, title: one.dim });
    const told = make("output", { htmlFor: `at-${i}` });
    const row = make("div", { className: "slider" }, label, input);
    const steps = make("div", { className: "steps" });
    for (const [sign, by, name] of [["‹", -1, "Previous"], ["›", 1, "Next"]]) {
      const button = make("button", { type: "button", textContent: sign, title: name });
      button.setAttribute("aria-label", `${name}: ${one.label}`);
      button.addEventListener("click", () => move(one.dim, by));
      steps.append(button);
    }
    if (i === 0) {
      const button = make("button", { type: "button", textContent: "▶", title: "Play", id: "play" });
      button.setAttribute("aria-label", "Play");
      button.addEventListener("click", play);
      steps.append(button);
    }
    row.append(steps, told);
    input.addEventListener("input", () => { at[one.dim] = +input.value; changed(); });
    row.show = () => { input.value = at[one.dim]; label4(one.dim, at[one.dim]).then((text) => { told.textContent = text; input.setAttribute("aria-valuetext", text); }); };
    row.show();
    return row;
  }));
}

async function label4(dim, place) {
  const block = Math.floor(place / 1000), key = `${about.path} ${dim} ${block}`;
  known[key] ??= ask("labels", { v: about.path, dim, start: block * 1000 }, key).catch(() => ({ labels: [] }));
  return (await known[key]).labels[place - block * 1000] ?? String(place);
}

function move(dim, by) {
  const size = about.sliders.find((one) => one.dim === dim).size;
  at[dim] = (at[dim] + by + size) % size;
  return changed();
}

function changed() {
  for (const row of $("sliders").children) row.show();
  return about.line ? showLine() : redraw();
}

function stop() { clearTimeout(playing); playing = null; if ($("play")) $("play").textContent = "▶"; }

function play() {
  if (playing) { stop(); return; }
  const dim = about?.sliders.find((one) => one.size > 1)?.dim;
  if (!dim) return;
  $("play").textContent = "❚❚";
  const next = async () => {
    await move(dim, 1);
    if (playing) playing = setTimeout(next, 120);
  };
  playing = setTimeout(next, 0);
}

const redraw = guarded(async () => {
  const low = Number($("low").value), high = Number($("high").value);
  const parameters = {
    v: about.path, at: JSON.stringify(at), low, high, colours: about.kinds.length ? about.colours : $("colours").value,
    rows: view.rows.join(":"), columns: view.columns.join(":"),
  };
  if (!(low < high)) { problem("The first colour's value has to be less than the last one's."); return; }
  caption();
  const blob = await ask("picture.png", parameters);
  problem("");
  URL.revokeObjectURL(pictureURL);
  pictureURL = URL.createObjectURL(blob);
  const picture = $("picture");
  picture.src = pictureURL;
  await picture.decode();
  picture.alt = about.title;
  picture.classList.toggle("smooth", picture.naturalWidth > picture.clientWidth);
  if (!$("bar").hidden) $("bar").src = `api/colours.png?${new URLSearchParams({ colours: $("colours").value })}`;
  const part = view.rows[1] - view.rows[0] < about.rows.size || view.columns[1] - view.columns[0] < about.columns.size;
  $("whole").hidden = !part || Boolean(about.part[0] && String(about.part[0]) === String(view.rows) && String(about.part[1]) === String(view.columns));
  if (mark && along && along in at) showNow();
});

const caption = guarded(async () => {
  const found = await ask("caption", { v: about.path, at: JSON.stringify(at) });
  const part = about.part.some(Boolean) ? "The middle of a picture that is too large to be drawn at once." : "";
  $("caption").textContent = [...found.map(([name, text]) => `${name.replaceAll("_", " ")}: ${text}`), part].filter(Boolean).join("  ·  ");
});

// Elements of the picture and of the array: rows and columns may be drawn from their ends.
function side(which) {
  const one = about[which], [start, stop] = view[which];
  const toElement = (part) => {
    const n = Math.min(stop - start - 1, Math.max(0, Math.floor(part * (stop - start))));
    return one.flip ? stop - 1 - n : start + n;
  };
  const toPart = (element) => (one.flip ? stop - 1 - element + 0.5 : element - start + 0.5) / (stop - start);
  return { ...one, start, stop, toElement, toPart };
}

function place() {
  const figure = $("figure"), width = figure.clientWidth - LEFT - RIGHT;
  const rows = side("rows"), columns = side("columns");
  let ratio = (rows.stop - rows.start) / (columns.stop - columns.start);
  if (rows.places && columns.places) ratio *= Math.abs(rows.places[1] / columns.places[1]);
  // What is no map of the ground, such as levels over time, is drawn as large as it is legible.
  if (!(ratio > 0.2 && ratio < 3)) ratio = Math.min(1, Math.max(0.4, ratio));
  const most = Math.max(240, window.innerHeight * (along ? 0.46 : 0.68));
  const w = Math.min(width, most / ratio), h = w * ratio;
  const picture = $("picture");
  Object.assign(picture.style, { left: `${LEFT}px`, top: `${TOP}px`, width: `${w}px`, height: `${h}px` });
  figure.style.height = `${h + TOP + BOTTOM}px`;
  for (const id of ["axes", "over"]) { $(id).setAttribute("width", w + LEFT + RIGHT); $(id).setAttribute("height", h + TOP + BOTTOM); }
  axes(w, h, rows, columns);
  over();
}

function nice(low, high, count) {
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9 && found.length < 50; value += step) found.push(+value.toPrecision(12));
  return found;
}

async function ticks(one, pixels, apart) {
  const count = Math.max(1, Math.floor(pixels / apart));
  if (one.places) {
    const [start, step] = one.places;
    const ends = [start + (one.start - 0.5) * step, start + (one.stop - 0.5) * step].sort((a, b) => a - b);
    const degrees = one.units.startsWith("degree") && ends[1] - ends[0] > 60;
    const values = degrees ? [15, 30, 45, 60, 90, 180].map((by) => nice2(ends, by)).find((found) => found.length <= count + 1) ?? [] : nice(...ends, count);
    return values.map((value) => [one.toPart((value - start) / step), degreesText(value / length(one)[0], one.units)]);
  }
  const n = one.stop - one.start;
  if (!one.dim) return [];
  const bare = (text) => one.units && text.endsWith(` ${one.units}`) ? text.slice(0, -one.units.length - 1) : text;
  const longest = Math.max(...(await Promise.all([one.start, one.stop - 1].map((at) => label4(one.dim, at)))).map((text) => bare(text).length));
  const stride = Math.max(1, Math.ceil(n * (apart > 60 ? longest * 7 + 16 : 26) / pixels));
  const elements = [];
  for (let at = one.start; at < one.stop; at += stride) elements.push(at);
  return Promise.all(elements.map(async (at) => [one.toPart(at), bare(await label4(one.dim, at))]));
}

// Metres over long distances are told in kilometres.
function length(one) {
  const far = one.places && Math.abs(one.places[1]) * (one.stop - one.start) > 20000;
  return far && ["m", "metre", "meter", "metres", "meters"].includes(one.units) ? [1000, "km"] : [1, one.units];
}

const nice2 = ([low, high], by) => { const found = []; for (let v = Math.ceil(low / by) * by; v <= high; v += by) found.push(v); return found; };
function degreesText(value, units) {
  if (!units.startsWith("degree")) return Math.abs(value) >= 1e5 ? value.toLocaleString("en") : round(value);
  const east = /east|_E$/.test(units), turned = east && value > 180 ? value - 360 : value;
  const name = turned === 0 || (east && Math.abs(turned) === 180) ? "" : east ? (turned > 0 ? "E" : "W") : turned > 0 ? "N" : "S";
  return `${round(Math.abs(turned))}°${/north|east|_[NE]$/.test(units) ? name : ""}`;
}

async function axes(w, h, rows, columns) {
  const [down, across] = await Promise.all([ticks(rows, h, 60), ticks(columns, w, 110)]);
  const svg = $("axes");
  svg.replaceChildren();
  draw(svg, "rect", { x: LEFT - 0.5, y: TOP - 0.5, width: w + 1, height: h + 1, class: "frame" });
  for (const [part, text] of down) {
    const y = TOP + part * h;
    draw(svg, "line", { x1: LEFT - 5, x2: LEFT, y1: y, y2: y, class: "tick" });
    draw(svg, "text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, text.length > 8 ? `${text.slice(0, 7)}…` : text);
  }
  for (const [part, text] of across) {
    const x = LEFT + part * w;
    draw(svg, "line", { x1: x, x2: x, y1: TOP + h, y2: TOP + h + 5, class: "tick" });
    if (x + text.length * 4 > LEFT + w + RIGHT) continue;
    draw(svg, "text", { x, y: TOP + h + 18, "text-anchor": "middle" }, text);
  }
  const name = (one) => one.units && !one.units.startsWith("degree") && one.role !== "time" ? `${one.label} [${length(one)[1]}]` : one.label;
  draw(svg, "text", { x: LEFT + w / 2, y: TOP + h + 35, "text-anchor": "middle" }, name(columns));
  draw(svg, "text", { transform: `translate(12 ${TOP + h / 2}) rotate(-90)`, "text-anchor": "middle" }, name(rows));
}

function over(box) {
  const svg = $("over"), picture = $("picture");
  svg.replaceChildren();
  const w = picture.clientWidth, h = picture.clientHeight;
  if (mark) {
    const x = LEFT + side("columns").toPart(mark.column) * w, y = TOP + side("rows").toPart(mark.row) * h;
    if (x >= LEFT && x <= LEFT + w && y >= TOP && y <= TOP + h) draw(svg, "path", { d: `M${x - 9} ${y}h6m6 0h6M${x} ${y - 9}v6m0 6v6`, class: "mark" });
  }
  if (box) draw(svg, "rect", { x: LEFT + box[0], y: TOP + box[1], width: box[2], height: box[3], class: "box" });
}

function under(event) {
  const box = $("picture").getBoundingClientRect();
  const part = (value, size) => Math.min(1, Math.max(0, value / size));
  const x = part(event.clientX - box.left, box.width), y = part(event.clientY - box.top, box.height);
  return { x, y, row: side("rows").toElement(y), column: side("columns").toElement(x) };
}

const tell = guarded(async ({ row, column }) => {
  let found;
  try { found = await ask("value", { v: about.path, at: JSON.stringify(at), row, column }); } catch (error) {
    if (error.name === "AbortError") return;
    $("value").textContent = error.message;
    return;
  }
  const kind = about.kinds.find(([value]) => String(value) === found.value || (value === 1 ? "true" : "false") === found.value);
  if (kind) found.value = kind[1];
  const places = found.places.map(([name, text]) => `${name} ${text}`);
  $("value").replaceChildren(make("b", { textContent: `${found.value} ${about.units}`.trim() }), `  at  ${[...places, `row ${row}, column ${column}`].join("  ·  ")}`);
});

let down = null, waiting = null;
function pointing() {
  const picture = $("picture");
  picture.draggable = false;
  picture.addEventListener("pointerdown", (event) => { down = under(event); });
  picture.addEventListener("pointermove", (event) => {
    const here = under(event);
    clearTimeout(waiting);
    waiting = setTimeout(() => tell(here), 40);
    if (down && event.pointerType === "mouse" && event.buttons) {
      picture.setPointerCapture(event.pointerId);
      over(rectangle(down, here));
    }
  });
  picture.addEventListener("pointerup", (event) => {
    const from = down, to = under(event);
    down = null;
    if (!from) return;
    const [, , w, h] = rectangle(from, to);
    if (event.pointerType === "mouse" && w > 8 && h > 8 && !isPoints()) zoom(from, to);
    else { mark = { row: to.row, column: to.column }; over(); tell(to); if (along) showLine(); }
  });
  picture.addEventListener("pointerleave", () => { clearTimeout(waiting); });
  picture.addEventListener("pointercancel", () => { down = null; over(); });
}
const isPoints = () => about.kind === "points";

function rectangle(a, b) {
  const w = $("picture").clientWidth, h = $("picture").clientHeight;
  return [Math.min(a.x, b.x) * w, Math.min(a.y, b.y) * h, Math.abs(a.x - b.x) * w, Math.abs(a.y - b.y) * h];
}

function zoom(a, b) {
  const ends = (m, n) => [Math.min(m, n), Math.max(m, n) + 1];
  view = { rows: ends(a.row, b.row), columns: ends(a.column, b.column) };
  place();
  redraw();
}

// ---- lines --------------------------------------------------------------------------------

let line = null;
const showLine = guarded(async () => {
  const parameters = { v: about.path, dim: along, at: JSON.stringify(at) };
  if (!about.line) Object.assign(parameters, mark);
  line = await ask("series", parameters);
  const was = !$("lines").hidden;
  $("lines").hidden = false;
  const choices = about.sliders.filter((one) => one.size > 1);
  $("along").replaceChildren();
  if (!about.line && choices.length > 1) {
    const choice = make("select", { ariaLabel: "Along" }, ...choices.map((one) => make("option", { value: one.dim, textContent: one.label, selected: one.dim === along })));
    choice.addEventListener("change", () => { along = choice.value; showLine(); });
    $("along").append("Along", choice);
  } else $("along").append(about.line ? "" : `Along ${line.label}`);
  if (line.step > 1) $("along").append(` every ${line.step.toLocaleString("en")}th of ${line.size.toLocaleString("en")} values`);
  showNow();
  if (!about.line && !was) $("lines").scrollIntoView({ block: "nearest", behavior: "smooth" });
});

function showNow(pointed) {
  const svg = $("chart"), width = svg.clientWidth || 600, height = 240, right = 14, top = 18, bottom = 40;
  svg.replaceChildren();
  const values = line.values, n = values.length, real = values.filter((value) => value !== null);
  svg.setAttribute("aria-label", `${about.title} along ${line.label}`);
  if (!real.length) { draw(svg, "text", { x: LEFT, y: 40 }, "no values here"); return; }
  let low = real.reduce((a, b) => Math.min(a, b)), high = real.reduce((a, b) => Math.max(a, b));
  const room = (high - low) * 0.06 || Math.abs(high) * 0.01 || 1;
  low -= room; high += room;
  const w = width - LEFT - right, h = height - top - bottom;
  const x = (i) => LEFT + (n > 1 ? i / (n - 1) : 0.5) * w, y = (value) => top + (high - value) / (high - low) * h;
  for (const value of nice(low, high, 5)) {
    draw(svg, "line", { x1: LEFT, x2: LEFT + w, y1: y(value), y2: y(value), class: "tick" });
    draw(svg, "text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, Math.abs(value) >= 1e6 || (value && Math.abs(value) < 1e-3) ? value.toExponential(1) : round(value));
  }
  const room4 = Math.max(...line.labels.map((text) => text.length)) * 7 + 16;
  const stride = Math.max(1, Math.ceil((n - 1) * room4 / w));
  const told = line.counted ? nice(0, (n - 1) * line.step, Math.max(1, Math.floor(w / room4 / 1.5))).map((value) => value / line.step).filter(Number.isInteger)
    : Array.from({ length: Math.ceil(n / stride) }, (_, k) => k * stride);
  for (const i of n > 1 ? told : [0]) {
    if (x(i) + line.labels[i].length * 3.5 <= width) draw(svg, "text", { x: x(i), y: top + h + 18, "text-anchor": "middle" }, line.labels[i]);
  }
  draw(svg, "text", { x: LEFT + w / 2, y: height - 6, "text-anchor": "middle" }, line.label);
  draw(svg, "text", { x: 4, y: 11 }, about.units);
  let path = "", pen = "M";
  values.forEach((value, i) => {
    if (value === null) { pen = "M"; return; }
    path += `${pen}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
    const lone = (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
    if (lone || n <= 60) draw(svg, "circle", { cx: x(i), cy: y(value), r: 2.4, class: "dot" });
  });
  draw(svg, "path", { d: path, class: "line" });
  const now = about.line ? null : at[along] / line.step;
  if (now !== null) draw(svg, "line", { x1: x(now), x2: x(now), y1: top, y2: top + h, class: "now" });
  const shown = pointed ?? (now === null ? null : Math.round(now));
  if (shown !== null && values[shown] !== null && values[shown] !== undefined) {
    draw(svg, "circle", { cx: x(shown), cy: y(values[shown]), r: 4, class: "dot" });
    const end = x(shown) > width / 2 ? "end" : "start";
    draw(svg, "text", { x: x(shown) + (end === "end" ? -8 : 8), y: 11, "text-anchor": end, class: "told" }, `${line.labels[shown]}: ${round(values[shown])} ${about.units}`);
  }
}

function pointedAt(event) {
  const box = $("chart").getBoundingClientRect(), n = line.values.length;
  return Math.min(n - 1, Math.max(0, Math.round((event.clientX - box.left - LEFT) / (box.width - LEFT - 14) * (n - 1))));
}

// ---- beginning ----------------------------------------------------------------------------

function listen() {
  pointing();
  $("filter").addEventListener("input", listed);
  $("menu").addEventListener("click", () => { $("menu").setAttribute("aria-expanded", String($("side").classList.toggle("open"))); });
  for (const id of ["low", "high", "colours"]) $(id).addEventListener("change", redraw);
  $("fit").addEventListener("click", () => { $("low").value = round(about.low); $("high").value = round(about.high); $("colours").value = about.colours; redraw(); });
  $("whole").addEventListener("click", () => { view = { rows: about.part[0] ?? [0, about.rows.size], columns: about.part[1] ?? [0, about.columns.size] }; place(); redraw(); });
  $("before").addEventListener("click", guarded(() => { first = Math.max(0, first - 200); return showTable(); }));
  $("after").addEventListener("click", guarded(() => { first += 200; return showTable(); }));
  $("chart").addEventListener("pointermove", (event) => line && showNow(pointedAt(event)));
  $("chart").addEventListener("pointerleave", () => line && showNow());
  $("chart").addEventListener("click", (event) => { if (line && !about.line) { at[along] = Math.min(line.size - 1, pointedAt(event) * line.step); changed(); } });
  window.addEventListener("resize", () => { if (about && mode === "map") place(); if (about && line && !$("lines").hidden) showNow(); });
  window.addEventListener("hashchange", () => start());
  document.addEventListener("keydown", (event) => {
    if (!about || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea, button") && !event.target.matches("[type=range], #tree button")) return;
    const moves = about.sliders.filter((one) => one.size > 1);
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 1], ArrowDown: [1, -1] }[event.key];
    if (event.target.matches("[type=range]")) return;
    if (step && moves[step[0]]) { event.preventDefault(); move(moves[step[0]].dim, step[1]); }
    if (event.key === " " && moves.length && event.target === document.body) { event.preventDefault(); play(); }
  });
}

function start() {
  const [path, way] = location.hash.slice(1).split("&");
  const wanted = decodeURIComponent(path);
  const one = set.subjects.find((each) => each.path === wanted) ?? set.subjects[0];
  if (wanted && one?.path !== wanted) setTimeout(() => problem(`There is no ${wanted}.`), 0);
  if (one) return select(one, way);
  problem("There is nothing to show: the set has no arrays.");
  return undefined;
}

guarded(async () => {
  set = await ask("set");
  $("name").textContent = set.name;
  document.title = set.name;
  $("colours").append(...set.colours.map((name) => make("option", { value: name, textContent: name })));
  if (set.notes.length) {
    $("notes").hidden = false;
    $("notes").firstElementChild.textContent = `Notes (${set.notes.length})`;
    $("notes").lastElementChild.append(...set.notes.map((text) => make("li", { textContent: text })));
  }
  listen();
  listed();
  await start();
})();
