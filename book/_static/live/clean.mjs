// HTML that came from Python, with what only shows and nothing that acts. A page's content security policy
// stops scripts; it does not stop a <meta> that leads the reader away, or a form that looks like the page's own.
const TAGS = new Set(`
  a abbr b blockquote br caption code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6
  hr i img ins kbd li mark ol p pre q s samp small span strong sub summary sup table tbody td tfoot th thead tr u ul var
  circle ellipse g line path polygon polyline rect svg text tspan`.trim().split(/\s+/));
const ATTRIBUTES = new Set(`
  align alt class colspan dir headers height lang open role rowspan scope span start style title width
  cx cy d dx dy fill fill-opacity font-family font-size font-weight opacity points preserveaspectratio r rx ry stroke
  stroke-dasharray stroke-linecap stroke-linejoin stroke-opacity stroke-width text-anchor transform viewbox
  x x1 x2 y y1 y2`.trim().split(/\s+/));
const REACHES_OUT = /url|image|@|\\|position|expression/i;

/** The same HTML without elements and attributes that are not for showing. Links lose their address. */
export function clean(html) {
  const { body } = new DOMParser().parseFromString(html, "text/html"); // a document that loads and runs nothing
  // Backwards, so that what is within an element was seen before the element goes.
  for (const el of [...body.querySelectorAll("*")].reverse()) {
    if (!TAGS.has(el.localName.toLowerCase())) {
      el.remove();
      continue;
    }
    for (const { name, value } of [...el.attributes])
      if (!allowed(el, name.toLowerCase(), value)) el.removeAttribute(name);
  }
  return body.innerHTML;
}

function allowed(el, name, value) {
  if (name === "src") return el.localName === "img" && /^data:image\/(png|jpeg|gif|webp);base64,/.test(value);
  if (name.startsWith("aria-")) return true;
  if (["style", "fill", "stroke"].includes(name)) return !REACHES_OUT.test(value);
  return ATTRIBUTES.has(name);
}
