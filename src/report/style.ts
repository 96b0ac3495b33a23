/**
 * @file The page's style sheet. System fonts, because the page loads nothing; figures of equal width; Okabe & Ito's colours, darker on
 * paper and brighter on black, with a dash pattern for every job so that colour is never the only sign.
 */
export const style = `
:root { color-scheme: light dark; --page: #fbfbf9; --card: #ffffff; --ink: #1d2125; --soft: #5c646c; --line: #e3e3de; --grid: #ecece8; --code: #f1f1ed;
  --c0: #0072b2; --c1: #d55e00; --c2: #00805d; --c3: #b0528a; --c4: #8a6d00; --c5: #4a4f9e; --c6: #2f8fb5; --c7: #6b6b6b;
  --held: #c05200; --base: #b0528a; --ok: #00754f; --warn: #9a6700; --bad: #b93a10; --paint: #0072b2;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "Segoe UI Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1a1e22; --ink: #e4e6e8; --soft: #98a1aa; --line: #2c3238; --grid: #252a30; --code: #20252a;
  --c0: #56b4e9; --c1: #f0743e; --c2: #2cb98f; --c3: #d58fb8; --c4: #e8d64a; --c5: #9aa2f0; --c6: #7fd0e8; --c7: #b5b5b5;
  --held: #f2a34a; --base: #d58fb8; --ok: #2cb98f; --warn: #e6b450; --bad: #f0743e; --paint: #56b4e9; } }
* { box-sizing: border-box; }
html { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; background: var(--page); color: var(--ink); -webkit-text-size-adjust: 100%; }
body { max-width: 1128px; margin: 0 auto; padding: 40px 24px 80px; font-variant-numeric: tabular-nums; overflow-wrap: break-word; }
h1, h2, h3, h4, h5, p, dl, dd, figure, table, ul { margin: 0; }
h2 { font-size: 1.3rem; font-weight: 600; letter-spacing: -.01em; margin: 64px 0 4px; padding-top: 20px; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; font-weight: 600; margin: 36px 0 4px; }
h4 { font-size: .78rem; font-weight: 500; color: var(--soft); margin-bottom: 4px; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: 3px; }
code, pre, kbd { font-family: var(--mono); font-size: .86em; }
small, .muted { color: var(--soft); font-size: .87rem; font-weight: 400; }
.lead { color: var(--soft); max-width: 72ch; margin-bottom: 18px; }
header .eyebrow { color: var(--soft); font-size: .87rem; display: flex; flex-wrap: wrap; gap: 4px 16px; justify-content: space-between; }
h1 { font-size: 1rem; font-weight: 600; margin: 28px 0 6px; color: var(--soft); }
.verdict { font-size: clamp(1.5rem, 4.2vw, 2.15rem); line-height: 1.22; letter-spacing: -.02em; font-weight: 600; text-wrap: balance; max-width: 26ch; }
.detail { color: var(--soft); margin: 10px 0 0; max-width: 72ch; }
.hero { display: grid; grid-template-columns: minmax(0, 1fr) minmax(260px, 370px); gap: 20px 56px; align-items: end; margin-top: 28px; } .hero h1 { margin-top: 0; } .hero > :only-child { grid-column: 1 / -1; }
.intervals text { font-size: 12px; } .intervals .name { font-size: 13px; } .intervals .score { font-size: 13px; font-weight: 600; fill: var(--ink); }
.interval { stroke-width: 5; stroke-linecap: round; stroke: var(--soft); opacity: .38; } .interval.better { stroke: var(--ok); } .interval.worse { stroke: var(--bad); }
svg path.point { fill: var(--soft); stroke: var(--page); stroke-width: 1.5; } svg path.point.better { fill: var(--ok); } svg path.point.worse { fill: var(--bad); }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, max-content)); gap: 16px 48px; margin: 26px 0 0; }
.numbers dt, .commands dt { font-size: .8rem; color: var(--soft); }
.numbers dd { font-size: 1.2rem; letter-spacing: -.01em; line-height: 1.35; }
.numbers dd small { letter-spacing: 0; display: block; }
.commands { display: grid; gap: 6px; margin-top: 26px; } .commands > div { display: grid; grid-template-columns: 9.5em minmax(0, 1fr); align-items: baseline; } .commands dt small { display: block; }
.command { display: flex; align-items: stretch; background: var(--code); border-radius: 6px; min-width: 0; }
.command pre { margin: 0; padding: 8px 14px; overflow-x: auto; flex: 1; white-space: pre; }
button { font: inherit; font-size: .82rem; border: 0; background: none; color: var(--soft); cursor: pointer; }
button[hidden] { display: none; } button:hover { color: var(--ink); }
button.copy { border-left: 1px solid var(--line); padding: 0 14px; min-width: 5.2em; }
button.more { padding: 12px 0; text-decoration: underline; text-underline-offset: 3px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin-top: 22px; font-size: .9rem; }
nav a { color: var(--soft); text-decoration: none; }
nav a:hover { color: var(--ink); text-decoration: underline; }
.notices { list-style: none; padding: 0; margin-top: 24px; display: grid; gap: 8px; }
.notices li { display: grid; grid-template-columns: 20px 1fr; }
.notices strong { font-weight: 600; }
.well { margin-top: 24px; }
.ok { color: var(--ok); } .warn .light, .light.warn { color: var(--warn); } .bad > .light, .light.bad, b.bad, dd.bad { color: var(--bad); }
.better { color: var(--ok); } .worse { color: var(--bad); }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { text-align: left; font-weight: 400; padding: 6px 20px 6px 0; border-bottom: 1px solid var(--line); vertical-align: baseline; }
thead th { color: var(--soft); font-size: .8rem; }
td.n, th.n { text-align: right; }
.scroll { overflow-x: auto; }
.jobs { margin-top: 28px; } svg.key { display: inline-block; width: 26px; } .jobs td, .jobs th { white-space: nowrap; } .jobs th[scope] { font-weight: 500; }
.changes th, .settings th { width: 1%; white-space: nowrap; } .changes td { overflow-wrap: anywhere; } .settings td { overflow-wrap: anywhere; }
.changes .name { white-space: nowrap; }
del { text-decoration: none; color: var(--soft); } ins { text-decoration: none; font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 26px 24px; margin-top: 20px; }
figure.chart figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 8px; line-height: 1.35; margin-bottom: 4px; }
figcaption .title { font-weight: 600; }
figcaption .values { margin-left: auto; display: flex; flex-wrap: wrap; gap: 0 10px; }
figcaption output { font-weight: 500; }
figcaption code { flex-basis: 100%; color: var(--soft); font-size: .75rem; }
.main figcaption code { flex-basis: auto; } .main figcaption .title { font-size: 1.1rem; } .main .values { gap: 0 14px; }
.main { margin-top: 18px; } .heldout { color: var(--soft); } #reward > .lead { margin-top: 26px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 11px; fill: var(--soft); font-family: inherit; }
svg .grid { stroke: var(--grid); }
svg path { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.plot { touch-action: pan-y; }
.plot.narrow { display: none; }
.main .plot { cursor: crosshair; }
.line { stroke-width: 1.8; } .raw { stroke-width: 1; opacity: .28; } svg path.band { opacity: .13; stroke: none; }
svg path.marks { stroke: var(--card); stroke-width: 1.2; } svg path.whiskers { stroke-width: 1.4; opacity: .55; }
.baseline { stroke: var(--base); stroke-width: 1.3; stroke-dasharray: 5 4; }
line.stage { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 1 3; } text.stage { font-size: 10.5px; }
.cross { stroke: var(--soft); stroke-width: 1; visibility: hidden; pointer-events: none; } .cross.on { visibility: visible; }
.rollback line { stroke: var(--bad); stroke-dasharray: 2 3; } .rollback text { fill: var(--bad); font-size: 13px; font-weight: 700; }
${jobColors()}
svg rect.fate.held { fill: none; } .fate.skipped { opacity: .6; }
.line.seed { stroke-width: 1; opacity: .6; } svg path.line.mean { stroke: var(--ink); stroke-width: 2; } svg path.band.mean { fill: var(--ink); opacity: .09; } svg path.marks.mean { fill: var(--ink); stroke: var(--page); }
svg path.held { stroke: var(--held); } svg path.marks.held { fill: var(--held); stroke: var(--card); } output.held, b.held { color: var(--held); }
svg path.stack { stroke: var(--page); stroke-width: .6; opacity: .85; }
${['--c0', '--c2', '--c4', '--c3', '--c1'].map((color, index) => `svg path.s${index} { fill: var(${color}); } i.s${index} { background: var(${color}); }`).join('\n')}
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: .8rem; color: var(--soft); }
.main .legend { margin-top: 6px; }
.legend span { display: inline-flex; align-items: center; gap: 6px; }
.swatch { display: inline-block; width: 14px; height: 9px; border-radius: 1.5px; }
.swatch.area { background: var(--c0); opacity: .22; } .swatch.rule { height: 0; border-top: 2px dashed var(--base); width: 18px; border-radius: 0; }
.swatch.mean { height: 9px; background: linear-gradient(var(--line) 0 3px, var(--ink) 3px 6px, var(--line) 6px); } .swatch.smooth { height: 2px; background: var(--c0); }
.swatch.bar { height: 5px; background: var(--c0); } .swatch.outline { height: 5px; border: 1px solid var(--c0); } .swatch.thin { height: 1px; background: var(--c0); }
.constants { margin-top: 22px; font-size: .85rem; color: var(--soft); display: flex; flex-wrap: wrap; gap: 2px 16px; } .constants b { color: var(--ink); font-weight: 500; }
#at { position: fixed; right: 16px; bottom: 14px; background: var(--ink); color: var(--page); padding: 3px 10px; border-radius: 4px; font-size: .85rem; }
#filter { display: flex; flex-wrap: wrap; gap: 10px 16px; align-items: end; padding: 12px 0 14px; margin-bottom: 6px; position: sticky; top: 0; background: var(--page); z-index: 1; }
#filter[hidden], [hidden] { display: none; }
#filter label { font-size: .78rem; color: var(--soft); display: grid; gap: 3px; } #filter .grow { flex: 1 1 180px; } #filter .pair { white-space: nowrap; }
#filter input, #filter select { font: inherit; font-size: .88rem; color: var(--ink); background: var(--card); border: 1px solid var(--line); border-radius: 5px; padding: 4px 7px; min-height: 32px; max-width: 100%; }
#filter input[type=number] { width: 5.2em; } #filter input[type=search] { width: 100%; }
#count { font-size: .85rem; color: var(--soft); padding-bottom: 5px; } #filter button { padding: 0 0 6px; text-decoration: underline; text-underline-offset: 3px; } #filter [name=task] { width: 9em; }
:focus-visible { outline: 2px solid var(--paint); outline-offset: 2px; }
summary { cursor: pointer; }
details.step { border-bottom: 1px solid var(--line); }
details.step > summary { padding: 9px 0; } details.step > summary b { font-weight: 600; } details.step[open] { padding-bottom: 12px; }
.rollout { content-visibility: auto; contain-intrinsic-size: auto 34px; }
.rollout > summary { display: grid; grid-template-columns: 3.4em 44px minmax(76px, auto) minmax(0, 1fr); gap: 0 12px; align-items: center; padding: 5px 8px; border-radius: 5px; font-size: .9rem; list-style: none; }
.rollout > summary::-webkit-details-marker { display: none; }
.rollout > summary:hover, .rollout[open] > summary { background: var(--code); }
.reward { text-align: right; font-weight: 500; } .meter .rail { fill: var(--line); }
.why { display: flex; gap: 8px; flex-wrap: wrap; } .why i { font-style: normal; font-size: .78rem; color: var(--soft); } .why .failed, .why .truncated { color: var(--bad); }
.texts { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; font-family: var(--mono); font-size: .84em; color: var(--soft); } .texts bdi { unicode-bidi: isolate; } .answer { color: var(--ink); }
.body { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 14px 24px; padding: 12px 8px 20px; } .body .whole { grid-column: 1 / -1; }
.body pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; background: var(--card); border: 1px solid var(--line); border-radius: 5px; padding: 9px 11px; max-height: 22em; overflow: auto; min-height: 2.6em; unicode-bidi: isolate; }
.body dl, .facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 18px; font-size: .88rem; align-content: start; }
.body dt, .facts dt { color: var(--soft); } .body dd, .facts dd { overflow-wrap: anywhere; white-space: pre-wrap; }
.subscores { align-self: start; } .subscores td + td, .subscores th + th { text-align: right; width: 5em; padding-right: 4px; }
.body dl { grid-row: span 2; } .mates td, .mates th { padding: 2px 14px 2px 0; border: 0; white-space: nowrap; } .mates .meter { width: 40px; } .mates .texts { max-width: 0; width: 100%; } .own .n:first-child::before { content: '▸ '; } .own td { font-weight: 600; } .own .texts { color: var(--ink); }
.tokens span { padding: 1px; margin-right: 1px; border-radius: 2px; box-shadow: inset 0 0 0 .5px var(--line); } ${[0, 14, 30, 48, 68].map((share, level) => `.tokens .p${level} { background: color-mix(in srgb, var(--held) ${share}%, transparent); }`).join(' ')}
.dialogue { list-style: none; margin: 0; padding: 0; display: grid; gap: 8px; } .dialogue li { padding-left: 12px; border-left: 3px solid var(--line); } .dialogue .drawn { border-color: var(--held); }
h5 { margin-bottom: 2px; font-size: .82rem; font-weight: 600; } h5.bad { color: var(--bad); } .dialogue pre { min-height: 0; margin-bottom: 4px; } .dialogue .told pre { background: var(--code); } .dialogue .call { border-style: dashed; } .dialogue .reasoning { color: var(--soft); font-style: italic; }
.tree { min-width: 640px; margin: 14px 0 6px; } svg .link { stroke: var(--soft); opacity: .55; stroke-width: 1.3; } .node { stroke: var(--page); stroke-width: 1; } .node.unknown { fill: var(--soft); } .head { fill: none; stroke: var(--ink); stroke-width: 1.6; } svg text.best { fill: var(--held); font-size: 12px; }
.checkpoints td:first-child { color: var(--held); width: 7em; white-space: nowrap; } .aside { color: var(--soft); }
.fold { border-bottom: 1px solid var(--line); } .fold > summary { padding: 9px 0; font-weight: 600; } .fold > pre { margin: 0 0 16px; padding: 14px; background: var(--code); border-radius: 6px; overflow-x: auto; } .fold > :not(summary) { margin-bottom: 18px; }
footer { margin-top: 64px; color: var(--soft); font-size: .85rem; }
@media (max-width: 640px) { body { padding: 24px 16px 56px; } h2 { margin-top: 48px; } .hero { grid-template-columns: minmax(0, 1fr); } .intervals { max-width: 370px; } .numbers { grid-template-columns: 1fr 1fr; gap: 16px 20px; } .commands > div { grid-template-columns: minmax(0, 1fr); gap: 2px; } .plot.wide { display: none; } .plot.narrow { display: block; }
  .body { grid-template-columns: minmax(0, 1fr); } .rollout > summary { grid-template-columns: 3em 44px 1fr; padding: 6px 0; } .texts { grid-column: 1 / -1; } #filter { position: static; } .checkpoints { font-size: .84rem; } th, td { padding-right: 12px; }
  .changes th, .settings th { white-space: normal; width: auto; overflow-wrap: anywhere; } }
@media print { details.step:not([open]), button { display: none !important; } .rollout { content-visibility: visible; } html { font-size: 11px; background: none; } body { max-width: none; padding: 0; } nav, #filter, button.copy, #at { display: none !important; } figure, .rollout, tr { break-inside: avoid; } h2 { break-after: avoid; margin-top: 28px; } .body pre { max-height: none; } .charts { grid-template-columns: repeat(3, 1fr); } }
`;

/** One colour and one dash pattern per job; the ninth job begins again. */
function jobColors(): string {
  const dashes = ['none', '7 3', '2 3', '9 3 2 3', '12 4', '4 2', '1 3', '6 2 2 2'];
  return dashes
    .map((dash, job) => {
      const color = `var(--c${job})`;
      return `svg path.j${job} { stroke: ${color}; } .line.j${job} { stroke-dasharray: ${dash}; } svg path.band.j${job} { fill: ${color}; stroke: none; } svg path.marks.j${job} { fill: ${color}; stroke: var(--page); } .fate.j${job} { fill: ${color}; } .fate.held.j${job}, .fate.promoted.j${job} { stroke: ${color}; stroke-width: .5; } output.j${job}, .name.j${job} { color: ${color}; }`;
    })
    .join('\n');
}
