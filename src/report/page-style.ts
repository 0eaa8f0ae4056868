/** The style sheet of the HTML report. No external font, image or style: the page must open from a file, a mail or a CI artifact. */
export const pageStyle = `
:root{color-scheme:light dark;
--bg:#f6f7f9;--card:#fff;--ink:#1b2330;--dim:#5b6675;--line:#dde2e9;--soft:#eef1f5;--code:#f3f5f8;--focus:#2563eb;
--pass:#13783b;--fail:#c02424;--inconclusive:#955f00;--error:#8b2fb3;--skipped:#616c7b;
--pass-bg:#e3f5e9;--fail-bg:#fde8e8;--inconclusive-bg:#fdf1d8;--error-bg:#f6e6fb;--skipped-bg:#ebeef2;
--n0:#2563eb;--n1:#c2410c;--n2:#0f766e;--n3:#7c3aed;--n4:#be185d;--n5:#4d7c0f;--n6:#0369a1;--n7:#a16207;
--p-image:#94a3b8;--p-boot:#60a5fa;--p-provision:#2dd4bf;--p-steps:#a78bfa;--p-checks:#4ade80;--p-teardown:#cbd5e1;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace}
:root[data-theme=light]{color-scheme:light}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){DARK}}
:root[data-theme=dark]{DARK}
*{box-sizing:border-box}
html{scroll-padding-top:5.6rem;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 var(--sans)}
main,header.top>div,footer{max-width:76rem;margin:0 auto;padding:0 1.25rem}
a{color:inherit;text-underline-offset:.15em}
.text{max-width:46rem;margin:.4rem 0}.text>:first-child{margin-top:0}.text>:last-child{margin-bottom:0}.text pre{overflow-x:auto}
h1,h2,h3,p,ul,ol,dl,figure{margin:0;padding:0}
ul,ol{list-style:none}
code,pre,.mono{font-family:var(--mono);font-size:.86em}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px;border-radius:4px}
.dim{color:var(--dim)}
.pass{--v:var(--pass);--vb:var(--pass-bg)}.fail{--v:var(--fail);--vb:var(--fail-bg)}.inconclusive{--v:var(--inconclusive);--vb:var(--inconclusive-bg)}
.error{--v:var(--error);--vb:var(--error-bg)}.skipped{--v:var(--skipped);--vb:var(--skipped-bg)}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.4rem .8rem;z-index:9}
header.top{background:var(--card);border-bottom:1px solid var(--line);border-top:5px solid var(--v);padding:1.5rem 0 1.25rem}
.brand{display:flex;justify-content:space-between;align-items:center;gap:1rem;color:var(--dim);font-size:.87rem}
.brand b{color:var(--ink);letter-spacing:.01em}
h1{font-size:1.9rem;line-height:1.2;font-weight:680;letter-spacing:-.015em;margin:.55rem 0 .2rem;color:var(--v)}
.totals{color:var(--dim)}
.bar{display:block;width:100%;height:10px;border-radius:5px;margin:.9rem 0 1rem;background:var(--soft);overflow:hidden}
.bar rect.pass{fill:var(--pass)}.bar rect.fail{fill:var(--fail)}.bar rect.inconclusive{fill:#d9961a}.bar rect.error{fill:var(--error)}.bar rect.skipped{fill:#a6b0bd}
.facts{display:flex;flex-wrap:wrap;gap:.3rem 2rem;font-size:.87rem}
.facts div{display:flex;gap:.45rem;min-width:0}.facts dt{color:var(--dim)}.facts dd{margin:0;overflow-wrap:anywhere}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:1.25rem 0;padding:1.1rem 1.25rem}
.card>h2{font-size:1.05rem;margin-bottom:.6rem}
.problems{border-left:4px solid var(--v)}
.problems li{margin:.3rem 0;overflow-wrap:anywhere}
.findings li{border-left:3px solid var(--v);padding:.15rem 0 .15rem .8rem;margin:.7rem 0;overflow-wrap:anywhere}
.findings a{font-weight:600;text-decoration-color:var(--line)}.findings a:hover{text-decoration-color:currentColor}
.badge{display:inline-block;padding:0 .5em;border-radius:1em;font-size:.78rem;line-height:1.55;font-weight:600;color:var(--v);background:var(--vb);white-space:nowrap}
.tag{display:inline-block;padding:0 .5em;border-radius:4px;font-size:.76rem;line-height:1.6;background:var(--soft);color:var(--dim);white-space:nowrap}
table{border-collapse:collapse;font-size:.88rem}
th{font-weight:600;text-align:left;color:var(--dim)}
th,td{padding:.28rem .65rem;border-bottom:1px solid var(--line);vertical-align:top}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto;max-width:100%}
.overview{width:100%}.overview td:nth-child(2){overflow-wrap:anywhere}
.overview .bar{width:9rem;height:7px;margin:.45rem 0 0}
.tools{position:sticky;top:0;z-index:5;background:var(--bg);padding:.65rem 0;display:none;flex-wrap:wrap;gap:.5rem;align-items:center;border-bottom:1px solid transparent}
.js .tools{display:flex}
.tools input{flex:1 1 13rem;min-width:0;font:inherit;font-size:.92rem;padding:.38rem .7rem;border:1px solid var(--line);border-radius:7px;background:var(--card);color:inherit}
button{font:inherit;font-size:.85rem;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:7px;padding:.34rem .7rem;cursor:pointer}
button:hover{border-color:var(--dim)}
.chips{display:flex;flex-wrap:wrap;gap:.3rem}
.chip{padding:.34rem .55rem}
.chip[aria-pressed=true]{background:var(--vb);border-color:var(--v);color:var(--v);font-weight:600}
.chip[aria-pressed=false]{color:var(--dim)}
.chip .mono{margin-left:.25em}
.theme{display:none}.js .theme{display:inline-block}
#shown{font-size:.85rem;color:var(--dim);white-space:nowrap}
.scenario>header{display:flex;flex-wrap:wrap;gap:.3rem .8rem;align-items:baseline;justify-content:space-between}
.scenario h2{font-size:1.25rem;line-height:1.3;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere;flex:1 1 20rem}
.scenario h2 .badge{vertical-align:.15em;margin-right:.35rem}
.about{color:var(--dim);font-size:.88rem;display:flex;flex-wrap:wrap;gap:.25rem .8rem;align-items:center;margin:.2rem 0 .6rem;overflow-wrap:anywhere}
.description{max-width:52rem;margin:.4rem 0;white-space:pre-line}
figure{margin:.9rem 0;border:1px solid var(--line);border-radius:8px;background:var(--bg);padding:.8rem}
figure svg.topology{display:block;max-width:none}
h3{font-size:.82rem;text-transform:uppercase;letter-spacing:.05em;color:var(--dim);margin:1.1rem 0 .35rem;font-weight:650}
.time{display:block;width:100%;height:14px;border-radius:4px;background:var(--soft);overflow:hidden}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.83rem;color:var(--dim);margin-top:.35rem}
.legend svg{width:.7em;height:.7em;margin-right:.35em}
.p-image{fill:var(--p-image)}.p-boot{fill:var(--p-boot)}.p-provision{fill:var(--p-provision)}.p-steps{fill:var(--p-steps)}.p-checks{fill:var(--p-checks)}.p-teardown{fill:var(--p-teardown)}
.items>li{border-top:1px solid var(--line)}
.items.many>li{content-visibility:auto;contain-intrinsic-size:auto 2.4rem}
.items>li:last-child{border-bottom:1px solid var(--line)}
.item>summary{display:grid;grid-template-columns:1.5rem minmax(0,1fr) 7rem 4.6rem;gap:0 .55rem;align-items:baseline;padding:.38rem .3rem;cursor:pointer;list-style:none}
.item>summary::-webkit-details-marker{display:none}
.item>summary:hover{background:var(--soft)}
.item[open]>summary{background:var(--soft)}
.sign{font-weight:700;color:var(--v);text-align:center}
.what{overflow-wrap:anywhere}
.step .what>.title{color:var(--dim)}.check .what>.title{font-weight:550}
.skipped .what>.title{color:var(--dim)}
.why{display:block;color:var(--v);font-size:.9rem;overflow-wrap:anywhere}
.item[open]>summary .why{display:none}
.took{text-align:right;color:var(--dim);font-size:.85rem;font-variant-numeric:tabular-nums;white-space:nowrap}
.gantt{width:7rem;height:6px;align-self:center;background:var(--soft);border-radius:3px}
.item[open] .gantt,.item>summary:hover .gantt{background:var(--line)}
.gantt rect{fill:var(--v);opacity:.75}
.more{padding:.5rem .6rem 1rem 2.35rem;font-size:.92rem}
.more dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.12rem 1rem;margin:.2rem 0 .6rem}
.more dt{color:var(--dim)}.more dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}
.controls li{margin:.1rem 0;overflow-wrap:anywhere}.controls .sign{display:inline-block;width:1.3em}
.grid td,.grid th{padding:.12rem .5rem;text-align:center;border:1px solid var(--line);font-family:var(--mono);font-size:.8rem;white-space:nowrap}
.grid th:first-child,.grid td:first-child{text-align:left;position:sticky;left:0;background:var(--card);color:var(--dim);font-weight:600}
.grid.list td,.grid.list th{text-align:left;white-space:normal}.grid.list th:first-child{white-space:nowrap}
.grid td.good{background:var(--pass-bg);color:var(--pass)}.grid td.bad{background:var(--fail-bg);color:var(--fail)}
.tx{margin:.5rem 0}
.cmd{border:1px solid var(--line);border-radius:7px;margin:.5rem 0;overflow:hidden;background:var(--code)}
.cmd>p{display:flex;flex-wrap:wrap;gap:0 .8rem;justify-content:space-between;padding:.3rem .7rem;background:var(--soft);font-size:.85rem}
.cmd>p code{overflow-wrap:anywhere;white-space:pre-wrap;flex:1 1 20rem}
.cmd pre{margin:0;padding:.45rem .7rem;overflow:auto;max-height:28rem;white-space:pre-wrap;overflow-wrap:anywhere;tab-size:4}
.cmd pre+pre{border-top:1px dashed var(--line)}
.cmd pre.err{color:var(--fail)}
.host b{font-weight:650}
.sub>summary{cursor:pointer;color:var(--dim);font-size:.9rem;padding:.25rem 0}
.empty{padding:.8rem 0;color:var(--dim)}
[hidden]{display:none!important}
footer{color:var(--dim);font-size:.83rem;padding-top:1rem;padding-bottom:3rem}
.n0{--c:var(--n0)}.n1{--c:var(--n1)}.n2{--c:var(--n2)}.n3{--c:var(--n3)}.n4{--c:var(--n4)}.n5{--c:var(--n5)}.n6{--c:var(--n6)}.n7{--c:var(--n7)}
svg text{font-family:var(--sans);font-size:12px;fill:var(--ink)}
svg text.mono{font-family:var(--mono);font-size:10.8px}
svg text.small{font-size:11px}svg text.dim{fill:var(--dim)}
svg .host-box{fill:var(--card);stroke:var(--dim);stroke-width:1.2}
svg text.host-name{font-size:14px;font-weight:680}
svg .container-box{fill:var(--soft);stroke:var(--line)}
svg .stopped .container-box{stroke-dasharray:4 3}svg .stopped text{fill:var(--dim)}
svg text.container-name{font-weight:620;font-size:12.5px}
svg .dot{fill:var(--c)}svg .port{fill:var(--c)}
svg .way-passed .host-box{stroke:var(--pass);stroke-width:2.4}
svg .way-broken .host-box{stroke:var(--fail);stroke-width:3;stroke-dasharray:7 3}
svg .way-wire{stroke:var(--pass);stroke-width:5;opacity:.55;fill:none}
svg .wire,svg .bus{stroke:var(--c);fill:none;stroke-width:1.8}
svg .bus{stroke-width:3.4;stroke-linecap:round}
svg .wire.overlay,svg .bus.overlay{stroke-dasharray:6 4}
svg .bus.overlay{stroke-width:2.6}
svg .halo{stroke:var(--bg);stroke-width:7;fill:none}
svg .tap{fill:var(--c);stroke:var(--bg);stroke-width:1.5}svg .tap.hollow{fill:var(--bg);stroke:var(--c)}
svg .lane-label text{text-anchor:end}
svg text.lane-name{font-weight:650;fill:var(--c)}svg text.lane-sub{font-family:var(--mono);font-size:10px;fill:var(--dim)}
@media (max-width:46rem){body{font-size:14.5px}main,header.top>div,footer{padding:0 .8rem}h1{font-size:1.5rem}.card{padding:.9rem .8rem}
.item>summary{grid-template-columns:1.4rem minmax(0,1fr) 4.3rem}.item>summary .gantt{display:none}.more{padding-left:.6rem}.tools{position:static}
.overview .bar{display:none}.more dl{grid-template-columns:1fr}}
@media print{:root,:root[data-theme=dark]{--bg:#fff;--card:#fff;--ink:#000}body{font-size:10.5pt;background:#fff}.tools,.theme,.skip{display:none!important}.card,figure{border-color:#bbb;break-inside:auto}
.items.many>li{content-visibility:visible}.items>li{break-inside:avoid-page}.cmd pre{max-height:none}figure svg.topology{max-width:100%;height:auto}figure{break-inside:avoid}a{text-decoration:none}}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
`.replaceAll(
  'DARK',
  'color-scheme:dark;--bg:#11151b;--card:#181e26;--ink:#e4e9f0;--dim:#98a4b3;--line:#2d3641;--soft:#222a34;--code:#131820;--focus:#7aa7ff;' +
    '--pass:#5fd38d;--fail:#ff8080;--inconclusive:#f2b84b;--error:#d79bf2;--skipped:#a3aebb;' +
    '--pass-bg:#143423;--fail-bg:#451d20;--inconclusive-bg:#3d2e0e;--error-bg:#37204a;--skipped-bg:#29313b;' +
    '--n0:#7aa7ff;--n1:#fb923c;--n2:#2dd4bf;--n3:#b79bff;--n4:#f472b6;--n5:#a3e635;--n6:#38bdf8;--n7:#facc15;' +
    '--p-image:#64748b;--p-boot:#3b82f6;--p-provision:#14b8a6;--p-steps:#8b5cf6;--p-checks:#22c55e;--p-teardown:#475569',
);
