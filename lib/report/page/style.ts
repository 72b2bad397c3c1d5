// The page's style: light or dark according to the reader's setting, for phones, wide screens and
// paper.
import { markup } from './markup.js';

const COLOURS = markup`
:root{color-scheme:light dark;
--page:#fff;--text:#1b1f24;--muted:#57606a;--rule:#d3d9e0;--grid:#e4e8ec;--soft:#f5f7f9;--link:#0550ae;--bad:#a3200d;--good:#116329;--tag:#6b4400;--tag-page:#fff3d6;
--mark:#0072b2;--band:#56b4e9;--edge:#3b444d;--other:#c3cad1;
--start:#0072b2;--boot:#56b4e9;--work:#009e73;--end:#e69f00;--collect:#cc79a7;--hatch:#00395c;--hatch-end:#7a4f00;--hatch-work:#00523c;--hatch-collect:#7a2f57}
@media screen and (prefers-color-scheme:dark){:root{
--page:#13161a;--text:#e4e7eb;--muted:#a0a9b4;--rule:#343b44;--grid:#262c33;--soft:#1b2026;--link:#7cb7ff;--bad:#ff9d8a;--good:#7ddc9a;--tag:#ffd27a;--tag-page:#3a2c08;
--mark:#56b4e9;--band:#3d9be0;--edge:#b9c2cc;--other:#49525c;
--start:#2f8fd0;--boot:#7cc8f2;--work:#00a67a;--end:#e69f00;--collect:#d68bb4;--hatch:#0b4a73;--hatch-end:#5c3b00;--hatch-work:#00432f;--hatch-collect:#6b2449}}
`;

const TEXT = markup`
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:auto}
body{margin:0 auto;max-width:76rem;padding:1.75rem clamp(1rem,3vw,2.5rem) 3rem;background:var(--page);color:var(--text);
font:0.9375rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans","Liberation Sans",Arial,sans-serif;font-variant-numeric:tabular-nums lining-nums;overflow-wrap:break-word}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:2px}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:2px}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .4rem;letter-spacing:-.01em}
h2{font-size:1.125rem;line-height:1.3;margin:0 0 .5rem}
h3{font-size:.9375rem;margin:1.25rem 0 .35rem}
p{margin:.35rem 0}
section{border-top:1px solid var(--rule);padding-top:1.1rem;margin-top:1.9rem}
small,.small{font-size:.8125rem;color:var(--muted);line-height:1.4}
th small,td small{display:block;font-weight:400}
code{font:.8125rem/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
h1,p,dd,li,th[scope=row],.list td,.entry,code{overflow-wrap:anywhere}
.kicker{margin:0;color:var(--muted);font-size:.8125rem;letter-spacing:.02em}
.lead{max-width:60rem}
.note,figcaption{font-size:.8125rem;line-height:1.5;color:var(--muted);max-width:60rem;margin:.35rem 0 .6rem}
.warn{border-left:3px solid var(--end);padding-left:.6rem;color:var(--text)}
.gap{color:var(--muted);font-style:italic;font-size:.8125rem}
.bad{color:var(--bad);font-weight:600}
.good{color:var(--good)}
.ci{color:var(--muted);font-size:.8125rem;white-space:nowrap}
.tag{display:inline-block;font-size:.6875rem;font-weight:600;line-height:1.35;padding:0 .35em;border:1px solid currentColor;border-radius:3px;color:var(--tag);background:var(--tag-page);white-space:nowrap;text-indent:0;vertical-align:.08em}
.letter{color:var(--muted);font-weight:400}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.defs{position:absolute}
figure{margin:0 0 1.2rem}
dl{margin:0}dd{margin:0}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(12.5rem,46%),1fr));gap:.5rem 1.5rem;margin:.9rem 0}
.facts dt{font-size:.75rem;color:var(--muted);line-height:1.3}
.advice{display:grid;gap:.55rem;margin:.4rem 0 .9rem}
.advice>div{display:grid;grid-template-columns:9.5rem 1fr;gap:0 1rem}
.advice dt{font-weight:600}
.advice .silent{color:var(--muted)}
.cited{font-size:.8125rem;color:var(--muted)}
ul.plain{list-style:none;margin:.3rem 0;padding:0}
ul.plain li{padding:.1rem 0 .1rem .9rem;text-indent:-.9rem}
ul.plain li::before{content:"·";display:inline-block;width:.9rem;text-indent:0;color:var(--muted)}
ul.terse{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:0 .9rem;font-size:.8125rem}
.key{color:var(--muted)}
summary{cursor:pointer;font-size:.8125rem;color:var(--link);padding:.3rem 0;width:fit-content}
footer{border-top:1px solid var(--rule);margin-top:2rem;font-size:.8125rem;color:var(--muted)}
`;

const TABLES = markup`
table{border-collapse:collapse;width:100%;font-size:.875rem}
th{text-align:left;font-weight:600;vertical-align:baseline}
td{vertical-align:baseline}
thead th{font-size:.75rem;font-weight:400;color:var(--muted);line-height:1.3;vertical-align:bottom}
.num{text-align:right}
.summary th,.summary td,.list th,.list td{padding:.4rem .65rem .4rem 0;border-bottom:1px solid var(--grid)}
.summary thead th,.list thead th,.dense thead th,.bars thead th{border-bottom:1px solid var(--rule)}
.summary tr>:last-child,.list tr>:last-child{padding-right:0}
.summary{font-size:.8125rem}.summary small,.summary .gap,.summary .ci{font-size:.75rem}
.summary th[scope=row]{min-width:9rem}
.summary td.free{min-width:5.6rem;overflow-wrap:anywhere}.summary thead th{max-width:7rem;overflow-wrap:break-word}
.summary td:not(.free){white-space:nowrap}.summary td .gap{white-space:normal}
.summary tr:target{background:var(--soft);box-shadow:inset 3px 0 var(--link)}
.summary tr:target th{padding-left:.6rem}
.list{table-layout:fixed}
.list .c-name{width:11.5rem}.list .c-short{width:8rem}.list .c-mid{width:13rem}.list .c-long{width:19rem}
.cards{overflow-x:auto}
.scroll{overflow-x:auto;max-width:100%}
.dense{width:auto;min-width:min(100%,40rem);font-size:.8125rem}
.dense th,.dense td{padding:.25rem 1.1rem .25rem 0;border-bottom:1px solid var(--grid);white-space:nowrap}
.dense .entry,.matrix .entry{display:inline-block;max-width:14rem;white-space:normal;overflow-wrap:break-word}
.dense th,.matrix th{overflow-wrap:normal!important}
.probed{min-width:0}
.probed thead th,.probed td{padding-right:1.3rem}
.probed th[scope=row]{font-weight:400;position:sticky;left:0;background:var(--page);min-width:7.5rem;max-width:15rem;white-space:normal}
.probed tbody tr:hover>*{background:var(--soft)}
.marks{font:.9375rem/1.3 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;letter-spacing:.12em}
.quiet{color:var(--muted)}
.open{font-weight:600}
.marks .bad{font-weight:700}
.matrix{width:auto;font-size:.8125rem;border-spacing:3px;border-collapse:separate}
.matrix th,.matrix td{padding:.3rem .55rem;min-width:6.4rem;vertical-align:middle}
.matrix td{background:var(--soft);text-align:center;line-height:1.35}
.matrix td:empty{background:none}
.matrix thead th{text-align:center;color:var(--text);font-weight:600;vertical-align:bottom}
.matrix th:first-child{padding-left:0;text-align:left}
.matrix thead th:first-child{color:var(--muted);font-weight:400}
.matrix td b{display:block;font-weight:600}
.matrix .alike{background:none;outline:1.5px dashed var(--muted);outline-offset:-2px}
.plot{table-layout:fixed}
.plot th,.plot td{padding:0;vertical-align:middle}
.plot thead th{vertical-align:bottom;padding-bottom:2px}
.plot tbody tr+tr>*{border-top:1px solid var(--page)}
.plot .names{width:11.5rem}.plot .values{width:10.5rem}
.plot th[scope=row]{padding-right:.75rem;line-height:1.25}
.plot .num{padding-left:.9rem;line-height:1.25}
.plot svg{display:block;overflow:visible}
.bars th,.bars td{padding:.3rem 1.4rem .3rem 0;border-bottom:1px solid var(--grid);vertical-align:middle}
.bars th[scope=row]{width:11.5rem}
.bars td>.amount{display:block;line-height:1.2}
.bars svg{display:block}
.bars.single{max-width:44rem}
`;

const DRAWING = markup`
svg text{fill:var(--muted);font-size:.75rem}
svg text.gap{font-size:.8125rem}
.grid line{stroke:var(--grid);stroke-width:1;shape-rendering:crispEdges}
.dot{fill:var(--mark);fill-opacity:.85;stroke:var(--page);stroke-width:.75}
.dot.outlier{fill:var(--page);fill-opacity:1;stroke:var(--mark);stroke-width:1.5}
.hollow .dot{fill:var(--page);fill-opacity:1;stroke:var(--mark);stroke-width:1.4}
.hollow .dot.outlier{stroke-dasharray:2 1}
.band{fill:var(--band);fill-opacity:.4}
.median{stroke:var(--text);stroke-width:2}
.part{stroke:var(--edge);stroke-width:1}
.start,.c-start{fill:var(--start)}.boot{fill:url(#fill-boot)}.unsplit{fill:url(#fill-unsplit)}.work{fill:url(#fill-work)}.end{fill:url(#fill-end)}.collect{fill:url(#fill-collect)}
.c-boot{fill:var(--boot)}.c-work{fill:var(--work)}.c-end{fill:var(--end)}.c-collect{fill:var(--collect)}
.h-boot{stroke:var(--hatch);stroke-width:2;fill:none}.h-end{stroke:var(--hatch-end);stroke-width:2}.h-work{fill:var(--hatch-work)}.h-collect{stroke:var(--hatch-collect);stroke-width:1.2}
.hollow .part{fill-opacity:.4;stroke-dasharray:3 2}
rect.amount{fill:var(--mark);fill-opacity:.8}
.hollow rect.amount{fill:none;stroke:var(--mark);stroke-dasharray:3 2}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.15rem 1.2rem;margin:.2rem 0 .6rem;padding:0;font-size:.8125rem}
.legend li{display:flex;align-items:center;gap:.4rem}
.legend svg{flex:none}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(15.5rem,100%),1fr));gap:1rem 1.75rem;margin:.5rem 0}
.panel{min-width:0}
.panel svg{display:block;overflow:visible}
.panel p{margin:.15rem 0}
.panel svg+svg{margin-top:.7rem}
.panel-title{margin-bottom:.5rem!important;font-weight:600;border-bottom:1px solid var(--rule)}
.curve line{stroke-linecap:round}
.curve.own line{stroke:var(--mark);stroke-width:2}
.curve.other line{stroke:var(--other);stroke-width:1}
.hollow .curve.own line{stroke-dasharray:5 3}
.whisker{stroke:var(--mark);stroke-width:1.25}
.stop{stroke:var(--text);stroke-width:1;stroke-dasharray:2 3}
.cross{stroke:var(--bad);stroke-width:2.2;fill:none}
`;

const NARROW = markup`
@media (max-width:74rem){
.summary,.summary tbody{display:block}
.summary thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.summary tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.35rem 1rem;padding:.7rem 0;border-bottom:1px solid var(--rule)}
.summary th,.summary td,.summary td:not(.free){padding:0;border:0;text-align:left;white-space:normal;min-width:0}
.summary th[scope=row]{grid-column:1/-1;font-size:.875rem}
.summary small{display:inline;margin-left:.35rem}
.summary td::before{content:attr(data-head);display:block;font-size:.75rem;color:var(--muted);line-height:1.3}}
@media (max-width:48rem){
.list colgroup{display:none}.list,.list tbody,.bars,.bars tbody{display:block}
.list thead,.bars thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.list tr{display:block;padding:.55rem 0;border-bottom:1px solid var(--rule)}
.list th,.list td{display:block;width:auto;max-width:none;padding:.1rem 0;border:0}
.list td::before{content:attr(data-head) " ";font-size:.75rem;color:var(--muted)}
.bars tr{display:grid;grid-template-columns:1fr 1fr;gap:.3rem 1.25rem;padding:.55rem 0;border-bottom:1px solid var(--rule)}
.bars th[scope=row]{grid-column:1/-1;width:auto}.bars.single tr{grid-template-columns:2fr 3fr}.bars.single th[scope=row]{grid-column:1}.bars.single td::before{content:none!important}
.bars th,.bars td{padding:0;border:0;min-width:0}
.bars td::before{content:attr(data-head);display:block;font-size:.75rem;color:var(--muted);line-height:1.3}
.plot,.plot thead,.plot tbody{display:block}.plot colgroup{display:none}
.plot tr{display:grid;grid-template-columns:1fr auto;align-items:baseline;padding:.3rem 0 .1rem}
.plot thead tr{display:block;padding:0}
.plot thead th:not(.marks){position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.plot .marks{grid-column:1/-1;grid-row:2;display:block}
.plot td.num small{display:inline;margin-left:.4rem}
.advice>div{grid-template-columns:1fr}
.axis .second{display:none}}
`;

const PAPER = markup`
@media print{
body{max-width:none;padding:0;font-size:9.5pt}
section,figure,tr,.panel{break-inside:avoid}section{margin-top:1rem}
a{color:inherit;text-decoration:none}
.scroll,.cards{overflow:visible}
.dense,.matrix{font-size:.6875rem;min-width:0}.matrix{width:100%}.dense th,.dense td,.ci{white-space:normal}.dense th,.dense td{padding-right:.4rem}
.matrix th,.matrix td{min-width:0;padding:.2rem}.dense th,.matrix th,.dense td{overflow-wrap:break-word!important}.matrix .entry,.dense .entry{overflow-wrap:anywhere}
details::details-content{content-visibility:visible;height:auto}
summary{display:none}
.tag,.matrix td{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
`;

export const STYLE = markup`${COLOURS}${TEXT}${TABLES}${DRAWING}${NARROW}${PAPER}`;
