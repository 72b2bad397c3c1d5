// What is looked at in a page that is open in a browser: expressions that run there, each with what
// is wrong as its value.

/** Elements that reach beyond the page, other than those that scroll in a box of their own. */
export const TOO_WIDE = `(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) return ['the page: ' + document.documentElement.scrollWidth];
  const boxed = (element) => element.closest('.scroll, .cards') !== null;
  return [...document.body.querySelectorAll('*')]
    .filter((element) => !boxed(element) && !element.closest('.hidden, thead, .defs') && element.getBoundingClientRect().right > width + 1)
    .map((element) => element.outerHTML.slice(0, 120));
})()`;

/** Texts whose contrast is under 4.5, after WCAG; all that is folded away is unfolded first. */
export const TOO_FAINT = `(() => {
  for (const details of document.querySelectorAll('details')) details.open = true;
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const over = (top, under) => ({ r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1 });
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    return layers.reduceRight((under, top) => over(top, under), dark ? { r: 0, g: 0, b: 0, a: 1 } : { r: 255, g: 255, b: 255, a: 1 });
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let checked = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    if (!walker.currentNode.data.trim() || range.getClientRects().length === 0) continue;
    checked += 1;
    const style = getComputedStyle(element);
    const under = behind(element);
    const [a, b] = [light(over(parse(element instanceof SVGElement ? style.fill : style.color), under)), light(under)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(walker.currentNode.data.slice(0, 40) + ' ' + contrast.toFixed(2));
  }
  return { checked, faint };
})()`;

/** Of the first plot: each row's name and its dots. */
export const DOTS = `[...document.querySelector('.plot').querySelectorAll('tbody tr')].map((row) => [row.querySelector('.entry').textContent, row.querySelectorAll('.dot').length])`;

/** Of the first plot: the least and the most pixels a millisecond that any dot stands at. */
export const PLACES = `(() => {
  const all = [...document.querySelector('.plot').querySelectorAll('tbody .dot')].map((dot) => {
    const box = dot.getBoundingClientRect();
    const from = dot.closest('td').querySelector('svg').getBoundingClientRect().left;
    return (box.left + box.width / 2 - from) / Number(/(\\d+) ms/.exec(dot.querySelector('title').textContent)[1]);
  });
  return { least: Math.min(...all), most: Math.max(...all) };
})()`;

/** A function of the stand-ins' names: where one is named, and where that lacks its mark. */
export const UNMARKED = `(names) => {
  const named = [...document.querySelectorAll('.entry')].filter((element) => names.includes(element.textContent));
  return { named: named.length, unmarked: named.filter((element) => !element.nextElementSibling?.classList.contains('tag')).map((element) => element.textContent) };
}`;

/** Elements and attributes that no page of ours has. */
export const STRANGERS = `(() => {
  const ours = new Set('html head meta link title style body header main section footer nav h1 h2 h3 p dl div dt dd ul li a b i small span sup code time figure figcaption details summary table colgroup col thead tbody tr th td svg defs pattern rect line circle path text g'.split(' '));
  return [...document.querySelectorAll('*')].flatMap((element) => [
    ...(ours.has(element.localName) ? [] : [element.localName]),
    ...[...element.attributes].filter(({ name }) => /^on/i.test(name) || /^(src|srcset|xlink:href|style|action)$/i.test(name)).map(({ name }) => element.localName + '[' + name + ']'),
  ]);
})()`;

/** Addresses that lead out of the page. */
export const OUTSIDE = `[...document.querySelectorAll('[href], [src]')].map((element) => element.getAttribute('href') ?? element.getAttribute('src')).filter((address) => !/^(#row-\\d+|data:,)$/.test(address))`;

export const HEADINGS = `[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((heading) => Number(heading.localName[1]))`;

/** Plots, tables and figures of which nobody who cannot see would know what they are. */
export const UNNAMED = `[
  ...[...document.querySelectorAll('svg')].filter((svg) => !svg.parentElement.closest('svg') && svg.getAttribute('aria-hidden') !== 'true' && !svg.closest('[aria-hidden=true]') && !(svg.getAttribute('role') === 'img' && svg.getAttribute('aria-label'))),
  ...[...document.querySelectorAll('th')].filter((th) => !th.hasAttribute('scope')),
  ...[...document.querySelectorAll('figure')].filter((figure) => !figure.querySelector('figcaption')),
].map((element) => element.outerHTML.slice(0, 120))`;
