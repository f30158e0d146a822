"use strict";
(() => {
const $ = (s, r = document) => r.querySelector(s), $$ = (s, r = document) => [...r.querySelectorAll(s)];
const D = JSON.parse($("#data").textContent), SVG = "http://www.w3.org/2000/svg";
const WORDS = {over: "over", suspect: "suspected", warn: "over (warns)", near: "near", none: "not measured", part: "partly measured", within: "within"};
const SCALES = {B: bytes(""), "B/h": bytes("/h"), s: [["us", 1e-6], ["ms", 1e-3], ["s", 1], ["min", 60], ["h", 3600]], ratio: [["%", 0.01]]};
const FAILED = new Set([1, 5]);
function bytes(per) { return [["B", 1], ["KiB", 1024], ["MiB", 1048576], ["GiB", 1073741824]].map(([n, s]) => [n + per, s]); }

// Whatever the run brought with it becomes text nodes and attributes here, never markup.
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (v === true) e.setAttribute(k, ""); else if (v !== false && v != null) e.setAttribute(k, v);
  e.append(...children.flat(9).filter(c => c != null && c !== "" && c !== false));
  return e;
}
function draw(tag, attributes, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}
// As Python's format_quantity: what is shown without a decimal is exact, and a tie goes to the even digit.
function tenths(x) {
  const t = x * 10, f = Math.floor(t);
  return (Math.abs(t - f - 0.5) < 1e-9 ? f + Math.abs(f % 2) : Math.round(t)) / 10;
}
function number(v) {
  if (Math.abs(v) >= 1e15) return v.toExponential(2);
  const x = +v.toFixed(9), one = tenths(x);
  if (x === one) return String(one);
  return Math.abs(x) < 0.1 ? v.toFixed(1 - v.toExponential(1).split("e")[1]) : one.toFixed(1);
}
function quantity(v, unit) {
  if (v == null) return "infinite";
  if (unit === "count") return number(v);
  const scale = SCALES[unit];
  if (!scale) return number(v) + " " + unit;
  if (v === 0) return "0 " + ({s: "s", ratio: "%"}[unit] || scale[0][0]);
  for (let i = 0; i < scale.length; i++)
    if (i === scale.length - 1 || tenths(Math.abs(v) / scale[i][1]) < scale[i + 1][1] / scale[i][1]) return number(v / scale[i][1]) + " " + scale[i][0];
}
const share = s => s == null || s < 0 ? "\u2013" : s >= 100 ? Math.round(s).toLocaleString("en") + " times" : Math.round(s * 100) + " %";
const badge = s => el("span", {class: "bd " + s}, WORDS[s]);
const name = r => (D.paths[r[0]] ? D.paths[r[0]] + "::" : "") + r[1];
const link = (id, text) => el("a", {href: "#" + encodeURIComponent(id)}, el("bdi", {}, text || id));
const measures = r => D.sets[r[7]].map(i => measure(D.measures[i]));
function measure(m) {
  const t = D.templates[m[0]];
  return {key: D.keys[t[0]], limitText: t[1], limit: t[2], unit: t[3], level: t[4], origin: t[5], evidence: t[6], state: D.states[t[7]], why: t[8], reason: t[9], details: t[10], value: m[1], resolution: m[2], series: m[3] || []};
}
function keyed(r, key) {
  for (const i of D.sets[r[7]]) if (D.keys[D.templates[D.measures[i][0]][0]] === key) return measure(D.measures[i]);
  return null;
}
const used = m => m && m.limit > 0 && m.value != null && m.state !== "none" ? m.value / m.limit : null;
const below = m => m.evidence === "screened" && (m.state === "within" || m.state === "near") && m.value != null && m.value < m.resolution;
const figure = m => below(m) ? "< " + quantity(m.resolution, m.unit) : quantity(m.value, m.unit);
const unmeasured = m => m.state === "none" || (m.state === "suspect" && m.value == null);
const against = m => unmeasured(m) ? "not measured" : figure(m) + (m.state === "over" || m.state === "warn" ? " > " : " of ") + (m.limitText || "no limit");
const word = id => /["$`\\!]/.test(id) ? "'" + id.replaceAll("'", "'\"'\"'") + "'" : '"' + id + '"';
const command = (i, options) => "python -m pytest " + (D.again[i] || word(name(D.rows[i]))) + " --coresys-budget" + options;

// -- theme, keys, copying
document.body.classList.add("on");
const THEMES = ["system", "dark", "light"];
function theme(to) {
  const root = document.documentElement;
  if (to === "system") delete root.dataset.theme; else root.dataset.theme = to;
  $("#theme").textContent = "Theme: " + to;
  try { localStorage.setItem("coresys-theme", to); } catch (e) { /* a page from a file may have no storage */ }
}
const nextTheme = () => theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "system") + 1) % 3]);
$("#theme").onclick = nextTheme;
try { const kept = localStorage.getItem("coresys-theme"); if (THEMES.includes(kept)) theme(kept); } catch (e) { /* as above */ }
$("#help").onclick = () => $("#keys").showModal();
$("#kx").onclick = () => $("#keys").close();
async function copy(button) {
  const text = button.previousElementSibling.textContent;
  try { await navigator.clipboard.writeText(text); } catch (e) {
    const area = el("textarea", {}); area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove(); button.focus();
  }
  button.textContent = "Copied"; setTimeout(() => button.textContent = "Copy", 1500);
}
document.addEventListener("click", e => { const b = e.target.closest("[data-copy]"); if (b) copy(b); });
const copyable = text => el("div", {class: "cmd"}, el("code", {}, text.split(/(?= --coresys-)/).map((part, i) => i ? [" ", el("span", {class: "nw"}, part.slice(1))] : part)), el("button", {type: "button", class: "cp", "data-copy": "", "aria-label": "Copy the command"}, "Copy"));

// -- criteria
let state = "";
function filterCriteria() {
  const words = $("#cq").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  $$("#ct tr.x").forEach(close);
  for (const body of $$("#ct tbody")) {
    let here = 0;
    for (const row of $$("tr.r", body)) {
      const text = row.cells[1].textContent.toLowerCase() + " " + row.id.toLowerCase();
      const on = (!state || row.dataset.s === state) && words.every(w => text.includes(w));
      row.hidden = !on; here += on;
    }
    body.hidden = !here; shown += here;
  }
  if ($("#cempty")) $("#cempty").hidden = shown > 0;
}
function pressed(box, value) { $$(".ch", box).forEach(b => b.setAttribute("aria-pressed", b.dataset.f === value)); }
$("#cq").oninput = filterCriteria;
$("#cc").onclick = e => { const b = e.target.closest(".ch"); if (b) { state = b.dataset.f; pressed($("#cc"), state); filterCriteria(); } };
function close(x) { const b = $("th button", x.previousElementSibling); if (b) b.setAttribute("aria-expanded", "false"); x.remove(); }
function pair(dl, term, ...told) { if (told.flat(9).some(t => t != null && t !== "" && t !== false)) dl.append(el("dt", {}, term), el("dd", {}, ...told)); }
function open(row, toggle) {
  const next = row.nextElementSibling;
  if (next && next.className === "x") { if (toggle) close(next); return; }
  const m = D.more[row.id] || {}, dl = el("dl");
  pair(dl, "Tests", (m.counts || []).map(([s, n], i) => (i ? ", " : "") + n.toLocaleString("en") + " " + WORDS[s]));
  pair(dl, "Of the run", m.run, (m.cards || []).map((at, i) => [i ? ", " : ": ", el("a", {href: "#fix~" + at}, "card " + at)]));
  pair(dl, "Limits", (m.limits || []).map(l => el("div", {}, `${l[0]}, level ${l[1]}, set by ${l[2]}${l[3] ? ": " + l[3] : ""} (${l[4].toLocaleString("en")} ${l[4] === 1 ? "test" : "tests"})`)));
  pair(dl, "Change it", m.set && el("div", {}, "for example, for all tests: ", el("br"), el("code", {}, "[tool.coresys.budgets]"), el("br"), el("code", {}, m.set)));
  pair(dl, "Why", m.why);
  pair(dl, "Seen", (m.details || []).map(d => el("div", {}, d)));
  pair(dl, "Interval", m.interval);
  pair(dl, "Statistic", m.statistic);
  pair(dl, "Samples", m.samples && m.samples.toLocaleString("en"));
  pair(dl, "Measured by", m.how);
  pair(dl, "Goal", m.goal);
  pair(dl, "Parts", (m.parts || []).map(([id, s]) => el("div", {}, badge(s), " ", link(id))));
  pair(dl, "Evidence", (m.evidence || []).map(t => el("div", {}, link(t))), m.more && `and ${m.more} more`);
  pair(dl, "From", m.source);
  pair(dl, "Run it again", m.command && copyable(m.command));
  if (!dl.children.length) pair(dl, "Told", "nothing more");
  row.after(el("tr", {class: "x"}, el("td", {colspan: 7}, dl)));
  $("th button", row).setAttribute("aria-expanded", "true");
}
$$(".ct").forEach(t => t.onclick = e => { const row = e.target.closest("tr.r"); if (row && !e.target.closest("a")) open(row, true); });

// -- tests
const HEADS = [["Verdict"], ["Outcome"], ["Test", "name"], ["Closest budget", "key"], ["Measured", "", 1], ["Used", "used", 1]];
const CHIPS = [["", "All"], ["failed", "Failed"], ["itself", "Failed by itself"], ["over", "Over"], ["suspect", "Suspected"], ["warn", "Warns only"], ["near", "Near"], ["none", "Not measured"], ["within", "Within"]];
const KINDS = {failed: (r, i) => FAILED.has(r[2]), itself: (r, i) => (D.failed[i] || "").startsWith("by itself"), suspect: (r, i) => D.states[r[3]] === "suspect" || (r[10] || []).some(f => f[1] === "suspicion")};
const isOf = (f, r, i) => KINDS[f] ? KINDS[f](r, i) : D.states[r[3]] === f;
let kind = "", sort = "", down = false, most = 40, texts = null, ids = null;
const counts = {"": D.rows.length};
for (const [f] of CHIPS.slice(1)) counts[f] = D.rows.reduce((n, r, i) => n + isOf(f, r, i), 0);
$("#tc").append(...CHIPS.filter(([f]) => !f || counts[f]).map(([f, t]) => el("button", {type: "button", class: "ch " + f, "aria-pressed": f === "" ? "true" : "false", "data-f": f}, t + " ", el("b", {}, counts[f].toLocaleString("en")))));
$("#tc").onclick = e => { const b = e.target.closest(".ch"); if (b) { kind = b.dataset.f; most = 40; pressed($("#tc"), kind); list(); } };
$("#tt thead tr").replaceChildren(...HEADS.map(([t, s, n]) => {
  const h = el("th", {scope: "col", class: n && "n"}, s ? el("button", {type: "button"}, t) : t);
  if (s) h.firstChild.onclick = () => { [sort, down] = sort === s ? down ? [s, false] : ["", false] : [s, true]; list(); };
  h.dataset.k = s || "";
  return h;
}));
function chosen() {
  const q = $("#tq").value.trim(), key = D.keys.includes(q) ? q : "", words = key ? [] : q.toLowerCase().split(/\s+/).filter(Boolean);
  texts ||= words.length ? D.rows.map(r => (name(r) + " " + (r[8] < 0 ? "" : D.keys[r[8]]) + " " + (r[10] || []).map(f => f[0]).join(" ")).toLowerCase()) : texts;
  let found = [];
  for (let i = 0; i < D.rows.length; i++) {
    const r = D.rows[i];
    if (kind && !isOf(kind, r, i)) continue;
    if (words.length && !words.every(w => texts[i].includes(w))) continue;
    if (key) { const m = keyed(r, key); if (m && m.level !== "off") found.push([i, m]); } else found.push([i, null]);
  }
  const shareOf = ([i, m]) => m ? used(m) ?? (m.value || 0) * 1e-12 : D.rows[i][9];
  if (key && !sort) found.sort((a, b) => D.states.indexOf(a[1].state) - D.states.indexOf(b[1].state) || (b[1].value || 0) - (a[1].value || 0));
  else if (sort) {
    const of = {name: ([i]) => name(D.rows[i]), key: ([i, m]) => m ? m.key : D.keys[D.rows[i][8]] || "\uffff", used: e => { const m = e[1], r = D.rows[e[0]]; return !m && r[8] >= 0 && r[9] < 0 ? 1e12 : shareOf(e); }}[sort];
    const keys = new Map(found.map(e => [e, of(e)]));
    const sign = (sort === "used") === down ? -1 : 1;
    found.sort((a, b) => { const x = keys.get(a), y = keys.get(b); return (x < y ? -1 : x > y ? 1 : a[0] - b[0]) * sign; });
  }
  return found;
}
function list() {
  const found = chosen(), body = $("#tt tbody");
  for (const h of $$("#tt th")) if (sort && h.dataset.k === sort) h.setAttribute("aria-sort", (sort === "used") === down ? "descending" : "ascending"); else h.removeAttribute("aria-sort");
  body.replaceChildren(...found.slice(0, most).map(([i, m]) => {
    const r = D.rows[i], shown = m || (r[8] < 0 ? null : keyed(r, D.keys[r[8]])), bad = shown && (shown.state === "over" || shown.state === "warn");
    const why = D.said[i] || (!shown && /none|suspect/.test(D.states[r[3]]) ? D.whys[r[6]] : "");
    return el("tr", {}, el("td", {}, badge(m ? m.state : D.states[r[3]])), el("td", {class: FAILED.has(r[2]) && "ov"}, D.outcomes[r[2]], D.failed[i] && el("small", {}, D.failed[i])),
      el("td", {class: "id"}, link(name(r), r[1]), el("small", {}, D.paths[r[0]], why && el("br"), why)),
      el("td", {class: "k8"}, shown ? shown.key : ""), el("td", {class: "n" + (bad ? " ov" : "")}, shown ? against(shown) : ""), el("td", {class: "n" + (bad ? " ov" : "")}, shown ? share(used(shown)) : ""));
  }));
  $("#tn").textContent = `${Math.min(most, found.length).toLocaleString("en")} of ${found.length.toLocaleString("en")} shown`;
  $("#tm").hidden = most >= found.length;
}
$("#tq").oninput = () => { most = 40; list(); };
$("#tm").onclick = () => { most += 100; list(); };
list();

// -- the page of a test
function indexOf(id) {
  if (!ids) { ids = new Map(); D.rows.forEach((r, i) => { const n = name(r); if (!ids.has(n)) ids.set(n, i); }); }
  if (ids.has(id)) return ids.get(id);
  return D.rows.findIndex(r => name(r).startsWith(id + " [")); // run by several workers: the first of them
}
function scale(m) {
  const s = used(m);
  if (s == null) return "";
  const x = Math.min(s, 1.47) * 100, g = draw("svg", {class: "h", viewBox: "0 0 150 16", width: 150, height: 16, role: "img", "aria-label": share(s) + " of the budget"});
  g.append(draw("rect", {class: "b", x: 0, y: 4, width: Math.max(Math.min(x, 100), 1), height: 8}));
  if (x > 100) g.append(draw("rect", {class: "o", x: 100, y: 4, width: x - 100, height: 8}));
  g.append(draw("path", {class: "lim", d: "M100 0v16"}));
  return g;
}
function over(m, repetitions) {
  const v = m.series.filter(x => x != null), n = Math.max(repetitions, v.length), step = n / v.length, ys = [0];
  v.forEach(x => ys.push(ys.at(-1) + x * step));
  const end = n * Math.max(m.value || 0, 0), top = Math.max(...ys, end) || 1, low = Math.min(...ys, 0), span = top - low || 1;
  const X = i => 70 + 400 * i / v.length, Y = y => 110 - 96 * (y - low) / span, told = quantity(ys.at(-1), m.unit);
  const g = draw("svg", {viewBox: "0 0 480 130", role: "img", "aria-label": `${m.key} added up over ${n} repetitions: ${told} in the end`});
  g.append(draw("path", {class: "gr", d: `M70 14H470M70 ${Y(0)}H470`}));
  for (const [y, t] of [[top, quantity(+top.toPrecision(6), m.unit)], [0, "0"]]) { const e = draw("text", {x: 64, y: Y(y) + 4, "text-anchor": "end"}); e.textContent = t; g.append(e); }
  if (m.limit > 0) g.append(draw("path", {class: "lim", d: `M70 ${Y(0)}L${X(v.length * Math.min(1, top / (m.limit * n)))} ${Y(Math.min(top, m.limit * n))}`}));
  if (m.state === "over" || m.state === "warn") g.append(draw("path", {class: "lf", d: `M70 ${Y(0)}L470 ${Y(end)}`}));
  g.append(draw("path", {class: "ln", d: "M" + ys.map((y, i) => `${X(i).toFixed(1)} ${Y(y).toFixed(1)}`).join("L")}));
  const t = draw("text", {x: 470, y: 127, "text-anchor": "end"}); t.textContent = n.toLocaleString("en") + (n === 1 ? " repetition" : " repetitions"); g.append(t);
  return g;
}
function finding(f) {
  const [key, level, summary, details, places, chains, advice] = f, dl = el("dl");
  pair(dl, "Seen", details.length > 0 && el("ul", {}, details.map(d => el("li", {}, d))));
  pair(dl, "Where", places.length > 0 && el("ul", {}, places.map(([at, fn, note], i) => el("li", {class: !i && "at"}, el("code", {}, at), fn && " in ", fn && el("code", {}, fn), " " + note))));
  pair(dl, "Held by", chains.map(c => el("ol", {class: "hc"}, c.map(l => el("li", {}, l)))));
  pair(dl, "Try", advice);
  return el("article", {class: "fd " + level}, el("h3", {}, (level === "error" ? "" : level + ": ") + summary.replace(": suspected: ", ": ")), dl);
}
function show(i) {
  const r = D.rows[i], ms = measures(r).filter(m => m.level !== "off" || m.value != null), id = name(r), dl = el("dl", {class: "facts"});
  for (const [t, v] of [["Verdict", badge(D.states[r[3]])], ["Outcome", D.outcomes[r[2]] + (D.failed[i] ? " " + D.failed[i] : "")], ["Repetitions", r[4].toLocaleString("en")], ["Worker", D.workers[r[5]]], ["Note", D.whys[r[6]]]]) if (v) dl.append(el("div", {}, el("dt", {}, t), el("dd", {}, v)));
  const nav = el("nav", {class: "nav", "aria-label": "Tests"}, el("a", {href: "#tests", class: "back"}, "\u2190 All tests"), i > 0 && el("a", {href: "#" + encodeURIComponent(name(D.rows[i - 1])), rel: "prev"}, "previous"), i < D.rows.length - 1 && el("a", {href: "#" + encodeURIComponent(name(D.rows[i + 1])), rel: "next"}, "next"));
  const all = el("div", {class: "tp"}, nav, el("h1", {}, el("bdi", {}, r[1])), el("p", {class: "path"}, el("bdi", {}, D.paths[r[0]])), dl);
  if (r[10] && r[10].length) all.append(el("h2", {}, "Findings"), ...r[10].map(finding));
  if (r[11]) all.append(el("h2", {}, "What it wrote"), ...r[11].map(([n, lines]) => el("details", {class: "out", open: n === "Failure"}, el("summary", {}, n), el("pre", {tabindex: 0, "aria-label": n}, lines.join("\n")))));
  const grown = ms.filter(m => m.series.length > 1 && m.series.some(x => x));
  if (grown.length) all.append(el("h2", {}, "Over the repetitions"), el("p", {class: "lead"}, "What was left behind, added up from repetition to repetition. Dashed: what the budget allows."), el("div", {class: "cards"}, grown.map(m => el("figure", {class: "pic"}, el("figcaption", {}, el("code", {}, m.key)), over(m, r[4])))));
  if (ms.length) all.append(el("h2", {}, "Measures"), el("div", {class: "tw", tabindex: 0, role: "region", "aria-label": "Table of measures"}, el("table", {class: "pl stack", id: "mt"}, el("thead", {}, el("tr", {}, ["Verdict", "Key", "Measured", "Budget", "Used", "Against the budget", "Evidence", "Set by"].map((t, k) => el("th", {scope: "col", class: k > 1 && k < 5 && "n"}, t)))),
    el("tbody", {}, ms.map(m => el("tr", {}, el("td", {}, badge(m.state)), el("th", {scope: "row"}, el("a", {href: "#" + encodeURIComponent(m.key)}, el("code", {}, m.key))),
      unmeasured(m) ? el("td", {colspan: 4, class: "why"}, m.why || "its level is off") : [el("td", {class: "n m", "data-l": "measured"}, figure(m)), el("td", {class: "n", "data-l": "budget"}, m.limitText || "\u2013"), el("td", {class: "n", "data-l": "used"}, share(used(m))), el("td", {}, scale(m))],
      el("td", {"data-l": "evidence"}, m.evidence === "repeated" ? "repeated" : "one run", m.resolution ? ", from " + quantity(m.resolution, m.unit) + " on" : ""), el("td", {"data-l": "set by"}, m.level === "off" ? "\u2013" : m.origin + (m.reason ? ": " + m.reason : "") + (m.level === "warn" ? " (warns only)" : ""))))))));
  const edges = D.locks.edges.filter(e => e[4].includes(i)), waits = ms.filter(m => m.key.startsWith("locks.") && m.details.length);
  if (edges.length || waits.length) all.append(el("h2", {}, "Locks"));
  waits.forEach(m => all.append(el("p", {}, el("code", {}, m.key)), el("ul", {class: "lines"}, m.details.map(d => el("li", {}, d)))));
  if (edges.length) { const t = lockTable(); $("tbody", t).append(...edges.map(lockRow)); all.append(el("div", {class: "tw", tabindex: 0, role: "region", "aria-label": "Table of the locks of this test"}, t)); }
  all.append(el("h2", {}, "Run it again"), copyable(command(i, D.options)));
  if (D.settled.includes(i)) all.append(el("p", {class: "lead"}, "Repeated until what is suspected is settled:"), copyable(command(i, D.strict)));
  $("#page").replaceChildren(all); leave(true); document.title = id + " \u2013 coresys"; scrollTo(0, 0); $("#page").focus();
}
const title = document.title;
function leave(inside) { $("#page").hidden = !inside; $("#report").hidden = inside; $("header").hidden = inside; if (!inside) document.title = title; }

// -- where one was on the report, when one goes to the page of a test, and comes back
let left = null, coming = null, last = "";
function remember() {
  if (!$("#page").hidden || location.hash !== last) return; // else one is on the way elsewhere already
  left = {at: location.hash, y: scrollY, cq: $("#cq").value, state, tq: $("#tq").value, kind, sort, down, most, lq: $("#lq") ? $("#lq").value : "", lb: Boolean($("#lb") && $("#lb").checked), picked};
  try { history.replaceState(left, ""); } catch (e) { /* then only the way back by the page's own link is kept */ }
}
function restore(v) {
  leave(false);
  if ($("#cq").value !== v.cq || state !== v.state) { $("#cq").value = v.cq; state = v.state; pressed($("#cc"), state); filterCriteria(); }
  if ($("#tq").value !== v.tq || kind !== v.kind || sort !== v.sort || down !== v.down || most !== v.most) { $("#tq").value = v.tq; ({kind, sort, down, most} = v); pressed($("#tc"), kind); list(); }
  if ($("#lq")) { $("#lq").value = v.lq; $("#lb").checked = v.lb; picked = v.picked && (v.picked[0] === "n" || D.locks.cycles[v.picked[1]]) ? v.picked : null; locks(); } // the page may have been written anew
  scrollTo(0, v.y);
  const seen = a => { const box = a.getBoundingClientRect(); return box.height && box.bottom > 0 && box.top < innerHeight; };
  const from = $$("#report a").find(a => a.getAttribute("href") === last && seen(a));
  if (from) from.focus({preventScroll: true});
}
// A link of the page, or Esc: to the report as it was, or to the list of tests where one came by a link from outside.
function back() { coming = left; location.hash = left ? left.at : "#tests"; }
try { history.scrollRestoration = "manual"; } catch (e) { /* then the browser scrolls, and we do again */ }
document.addEventListener("click", e => {
  const a = e.target.closest('a[href^="#"]');
  if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
  if (a.classList.contains("back")) { e.preventDefault(); back(); } else remember();
}, true);
// For whoever loads the page anew: a browser takes no such note any more when it leaves.
let soon = 0;
for (const what of ["scroll", "input"]) addEventListener(what, () => { clearTimeout(soon); soon = setTimeout(remember, 250); }, {passive: true});

// -- locks
D.locks.edges.forEach((e, i) => e.push(i));
const nodes = new Map(D.locks.nodes.map(n => [n[0], n])), bad = new Set(D.locks.cycles.flat());
const lockName = id => nodes.has(id) ? nodes.get(id)[1] : "lock " + id;
const lockTable = () => el("table", {class: "pl"}, el("thead", {}, el("tr", {}, ["Held", "Then taken", "By", "Where", "In test"].map(t => el("th", {scope: "col"}, t)))), el("tbody"));
function lockRow(e) {
  return el("tr", {}, el("td", {}, bad.has(e[6]) && [el("span", {class: "bd over"}, "circle"), " "], lockName(e[0])), el("td", {}, lockName(e[1])), el("td", {}, e[2]), el("td", {}, e[3].map(s => el("div", {}, el("code", {}, s)))),
    el("td", {}, e[4].slice(0, 2).map(i => el("div", {}, link(name(D.rows[i]), D.rows[i][1]))), e[4].length > 2 && `and ${e[4].length - 2} more`));
}
let orders = 12, picked = null; // what is picked in the graph: ["n", lock] or ["c", circle]
const isPicked = e => picked && (picked[0] === "n" ? e[0] === picked[1] || e[1] === picked[1] : D.locks.cycles[picked[1]].includes(e[6]));
function pick(what) { picked = picked && what && picked[0] === what[0] && picked[1] === what[1] ? null : what; orders = 12; locks(); }
function locks() {
  const words = $("#lq").value.toLowerCase().split(/\s+/).filter(Boolean), only = $("#lb").checked;
  const some = words.length || only;
  const found = D.locks.edges.filter((e, i) => {
    if (picked && (isPicked(e) || !some)) return isPicked(e);
    if (only && !bad.has(i)) return false;
    if (!words.length) return true;
    const text = [e[0], e[1]].flatMap(n => (nodes.get(n) || []).slice(1)).concat(e[2], e[3], e[4].map(t => name(D.rows[t]))).join(" ").toLowerCase();
    return words.every(w => text.includes(w));
  });
  const drawn = picked && !some ? D.locks.edges : found, mine = D.locks.edges.filter(isPicked);
  const pairs = new Set(drawn.map(e => e[0] + ">" + e[1])), kept = new Set(drawn.flatMap(e => [e[0], e[1]]));
  const ways = new Set(mine.map(e => e[0] + ">" + e[1])), near = new Set(mine.flatMap(e => [e[0], e[1]]));
  $$("svg.g .ed").forEach(g => g.classList.toggle("off", !pairs.has(g.dataset.f + ">" + g.dataset.t)));
  $$("svg.g .nd").forEach(g => { const n = +g.dataset.n, own = picked && picked[0] === "n" && picked[1] === n; g.classList.toggle("off", !kept.has(n)); g.classList.toggle("dim", Boolean(picked) && !near.has(n)); g.classList.toggle("own", Boolean(own)); g.setAttribute("aria-pressed", Boolean(own)); });
  $$("svg.g .ed").forEach(g => g.classList.toggle("dim", Boolean(picked) && !ways.has(g.dataset.f + ">" + g.dataset.t)));
  $$("#lc a").forEach((a, i) => a.setAttribute("aria-current", Boolean(picked && picked[0] === "c" && picked[1] === i)));
  const boxes = new Set($$("svg.g .nd").map(g => +g.dataset.n)), missing = [...new Set(found.flatMap(e => [e[0], e[1]]))].filter(n => !boxes.has(n)).length;
  $("#lp").replaceChildren(...(picked ? [el("span", {}, "Picked: ", picked[0] === "n" ? lockName(picked[1]) : "circle " + (picked[1] + 1)), el("button", {type: "button", class: "cp", id: "lx"}, "Show all")] : []), some && missing ? el("span", {}, `${missing} of these locks ${missing === 1 ? "is" : "are"} not drawn: the table has them.`) : "");
  if (picked) $("#lx").onclick = () => { pick(null); $("#lq").focus(); };
  found.sort((a, b) => Boolean(isPicked(b)) - Boolean(isPicked(a)) || bad.has(b[6]) - bad.has(a[6]) || a[6] - b[6]);
  $("#lt tbody").replaceChildren(...found.slice(0, orders).map(lockRow));
  $("#ln").textContent = `${found.length.toLocaleString("en")} of ${D.locks.edges.length.toLocaleString("en")} orders`;
  $("#lm").hidden = orders >= found.length;
}
$$("svg.g").forEach(g => g.setAttribute("role", "group"));
$$("svg.g .nd").forEach(g => {
  const n = +g.dataset.n, toggle = () => pick(["n", n]);
  for (const [k, v] of [["tabindex", "0"], ["role", "button"], ["aria-label", "Orders of " + $("title", g).textContent]]) g.setAttribute(k, v);
  g.addEventListener("click", toggle);
  g.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); toggle(); } });
});
if ($("#lq")) { $("#lq").oninput = locks; $("#lb").onchange = locks; $("#lm").onclick = () => { orders += 50; locks(); }; locks(); }

// -- links into the page
const whole = () => document.body.classList.remove("first");
function go() {
  const kept = coming || history.state;
  if (kept || location.hash) whole();
  coming = null;
  if (kept && kept.cq != null) restore(kept); else lead();
  last = location.hash;
}
function lead() {
  let id = location.hash.slice(1);
  try { id = decodeURIComponent(id); } catch (e) { /* as it stands */ }
  if (!id) { leave(false); return; }
  if (id.startsWith("tests~")) { leave(false); kind = ""; sort = ""; most = 40; pressed($("#tc"), ""); $("#tq").value = id.slice(6); list(); $("#tests").scrollIntoView(); return; }
  if (/^cycle~\d+$/.test(id) && D.locks.cycles[id.slice(6) - 1]) { leave(false); picked = ["c", id.slice(6) - 1]; $("#lq").value = ""; $("#lb").checked = false; locks(); $("#locks").scrollIntoView(); return; }
  const there = document.getElementById(id);
  if (there && !$("#page").contains(there)) {
    leave(false);
    const fold = there.closest("details"); if (fold) fold.open = true;
    if (there.matches("tr.r")) { state = ""; $("#cq").value = ""; pressed($("#cc"), ""); filterCriteria(); open(there); there.scrollIntoView({block: "center"}); } else { there.scrollIntoView(); if (there.matches(".card")) there.focus({preventScroll: true}); }
    return;
  }
  const i = indexOf(id);
  if (i >= 0) show(i); else leave(false);
}
addEventListener("hashchange", go);
addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || $("#keys").open) return;
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName), inside = !$("#page").hidden;
  if (e.key === "Escape") { if (typing) e.target.blur(); else if (inside) back(); return; }
  if (typing) return;
  if (e.key === "?") $("#keys").showModal();
  else if (e.key === "t") nextTheme();
  else if (e.key === "/") {
    const boxes = $$(".ctl input[type=search]").filter(b => b.offsetParent);
    const at = boxes.filter(b => b.closest("section").getBoundingClientRect().top < innerHeight / 2).pop() || boxes[0];
    if (at) { e.preventDefault(); at.focus(); at.select(); }
  } else if (e.key === "j" || e.key === "k") {
    if (inside) { const a = $(`#page a[rel=${e.key === "j" ? "next" : "prev"}]`); if (a) a.click(); return; }
    const cards = $$(".card"), now = cards.indexOf(document.activeElement.closest(".card")), to = cards[now < 0 ? 0 : now + (e.key === "j" ? 1 : -1)];
    if (to) { to.focus(); to.scrollIntoView({block: "nearest"}); }
  } else if (e.key === "c") { const b = inside ? $("#page [data-copy]") : document.activeElement.closest(".card")?.querySelector("[data-copy]"); if (b) copy(b); }
});
// A table or a graph that is wider than its place says so: scroll bars of phones are not seen.
const fits = new ResizeObserver(seen => seen.forEach(({target}) => { const box = target.closest(".tw"); if (box) box.classList.toggle("cut", box.scrollWidth > box.clientWidth + 8); }));
$$("#report .tw").forEach(box => { fits.observe(box); fits.observe(box.lastElementChild); });
// What was left out of the first draw is drawn soon after it; at once where one goes elsewhere than to the top.
addEventListener("load", () => setTimeout(whole, 300));
go();
})();
