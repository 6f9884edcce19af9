"""The few lines of script in a report's page: a threshold slider, and curves that answer to the pointer.

The slider's stops are the points of the DET curve. Pointing at a curve moves it to the nearest one.
"""

SCRIPT = """"use strict";
for (const plots of document.querySelectorAll(".plots")) {
  const slider = plots.querySelector("input");
  if (!slider) continue;
  const det = JSON.parse(slider.dataset.det);
  const percent = share => (100 * share).toFixed(2) + " %";
  const svgs = [...plots.querySelectorAll("svg[data-plot]")].map(svg => {
    const curves = svg.dataset.plot === "det" ? [...svg.querySelectorAll("polyline")].slice(-2) : [];
    const box = svg.querySelector("rect[fill='#fff']"), at = name => Number(box.getAttribute(name));
    const low = Number(svg.dataset.low), high = Number(svg.dataset.high);
    const x = score => at("x") + at("width") * Math.min(Math.max((score - low) / (high - low), 0), 1);
    const places = det.thresholds.map((score, n) =>
      curves.length ? curves.map(curve => curve.points[n]) : [{x: x(score), y: null}]);
    const marks = places[0].map(place => {
      const mark = document.createElementNS(svg.namespaceURI, curves.length ? "circle" : "line");
      const looks = curves.length ? {r: 5, fill: "none", "stroke-width": 2}
        : {y1: at("y"), y2: at("y") + at("height"), "stroke-width": 2};
      for (const name in looks) mark.setAttribute(name, looks[name]);
      mark.setAttribute("stroke", "#009E73");
      mark.setAttribute("pointer-events", "none");
      mark.setAttribute("visibility", "hidden");
      return svg.appendChild(mark);
    });
    return {svg, places, marks};
  });
  const show = n => {
    slider.value = n;
    plots.querySelector("output").textContent = `threshold ${Number(det.thresholds[n].toPrecision(4))}: APCER ` +
      `${percent(det.worst[n])} (worst species), ${percent(det.pooled[n])} (pooled), BPCER ${percent(det.bpcer[n])}`;
    for (const {places, marks} of svgs) marks.forEach((mark, part) => {
      const {x, y} = places[n][part];
      const moved = y === null ? {x1: x, x2: x, visibility: "visible"} : {cx: x, cy: y, visibility: "visible"};
      for (const name in moved) mark.setAttribute(name, moved[name]);
    });
  };
  for (const {svg, places} of svgs) svg.addEventListener("pointermove", event => {
    const here = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const far = places.map(place =>
      Math.min(...place.map(({x, y}) => Math.hypot(x - here.x, y === null ? 0 : y - here.y))));
    show(far.indexOf(Math.min(...far)));
  });
  slider.addEventListener("input", () => show(Number(slider.value)));
}
"""
