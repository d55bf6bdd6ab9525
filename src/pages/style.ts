/** @file The style sheet of all pages. Text has a contrast of at least 4.5 : 1 in light and dark mode. */

export const STYLE = `
:root { color-scheme: light dark; --paper: #fdfcfa; --ink: #1f2328; --soft: #596069; --rule: #dedad2; --panel: #f4f1eb;
  --a: #2563c9; --b: #b0500c; --c: #0d7463; --d: #7b4bb0; --kept: #2f7656; --dropped: #a94f33; --add: #cdebd6; --cut: #f6d3c9; --mark: #fbe9a9; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e7e5e0; --soft: #a3abb5; --rule: #353a42; --panel: #1f2228;
  --a: #79aaf5; --b: #f0a060; --c: #56c4ad; --d: #b99aec; --add: #1f4a35; --cut: #5a2c20; --mark: #574a12; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.6rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { margin: 0 0 .6rem; font-size: 1.2rem; } h3 { margin: 1rem 0 .3rem; font-size: .95rem; }
header p { margin: .2rem 0 0; color: var(--soft); overflow-wrap: anywhere; }
header .conclusion { margin-top: .8rem; color: var(--ink); font-size: 1.05rem; font-weight: 600; max-width: 46rem; }
section { margin-top: 2.2rem; } p { margin: 0 0 .8rem; max-width: 48rem; }
.small, small { color: var(--soft); font-size: .85rem; } small { display: block; } .muted { color: var(--soft); }
.warning { border-left: 4px solid var(--dropped); padding-left: .8rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1px; background: var(--rule);
  border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
.figures div { flex: 1 1 8.5rem; background: var(--panel); padding: .7rem .9rem; }
.figures b { display: block; font-size: 1.25rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); font-size: .82rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; text-align: left; font-weight: 400; }
thead th { color: var(--soft); white-space: nowrap; } th.number, td.number { text-align: right; white-space: nowrap; }
.group { border-left: 1px solid var(--rule); padding-left: .8rem; } thead th[scope=colgroup] { text-align: center; }
td.text { overflow-wrap: anywhere; min-width: 9rem; } tbody th { overflow-wrap: anywhere; min-width: 6rem; }
.bars { display: grid; gap: .3rem; max-width: 48rem; }
.bar { display: grid; grid-template-columns: minmax(7rem, 15rem) 1fr auto; gap: .8rem; align-items: center; font-size: .9rem; }
.columns .bar { grid-template-columns: minmax(5rem, 8rem) 1fr auto; } .bar .name { overflow-wrap: anywhere; } .bar .value { font-variant-numeric: tabular-nums; min-width: 3.4rem; text-align: right; }
.track { height: 1.1rem; } .track i { display: block; height: 100%; min-width: 2px; border-radius: 3px; }
i.kept { background: var(--kept); } i.dropped { background: var(--dropped); } i.own { background: var(--a); }
i.other { background: var(--soft); opacity: .55; } i.best { background: var(--soft); }
.funnel { list-style: none; margin: 0 0 .8rem; padding: 0; display: grid; gap: .55rem; }
.funnel li { display: grid; grid-template-columns: 1fr auto; font-size: .9rem; } .step { overflow-wrap: anywhere; }
.change { color: var(--soft); font-variant-numeric: tabular-nums; } .flow { grid-column: 1 / 3; display: flex; height: 1.5rem; }
.flow i { font-style: normal; font-size: .8rem; line-height: 1.5rem; color: #fff; text-align: center; overflow: hidden; white-space: nowrap; }
.flow i.kept { border-radius: 4px 0 0 4px; } .flow i.dropped { border-radius: 0 4px 4px 0; }
.beside { padding-left: .5rem; color: var(--soft); font-size: .8rem; line-height: 1.5rem; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; color: var(--soft); font-size: .85rem; }
.key::before { content: ""; display: inline-block; width: 1rem; height: .6rem; margin-right: .4rem; border-radius: 2px; background: currentcolor; }
.key.kept::before { background: var(--kept); } .key.dropped::before { background: var(--dropped); }
.key.a::before { background: var(--a); } .key.b::before { background: var(--b); } .key.c::before { background: var(--c); } .key.d::before { background: var(--d); }
.chart { position: relative; margin: 0 0 1.2rem; max-width: 34rem; }
figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; font-size: .9rem; margin-bottom: .2rem; }
figcaption .key { color: var(--soft); } figcaption b { font-weight: 600; }
svg { display: block; width: 100%; height: auto; touch-action: pan-y; }
rect.kept { fill: var(--kept); } rect.dropped { fill: var(--dropped); } .limit { stroke: currentcolor; stroke-dasharray: 4 3; }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); } .pointer { stroke: var(--soft); stroke-dasharray: 3 3; }
.tick, .label { fill: var(--soft); font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .line.faint { stroke-width: 1; opacity: .28; }
.line.a { stroke: var(--a); } .line.b { stroke: var(--b); } .line.c { stroke: var(--c); } .line.d { stroke: var(--d); }
.mark.a { fill: var(--a); } .mark.b { fill: var(--b); } .mark.c { fill: var(--c); } .mark.d { fill: var(--d); }
.band { opacity: .16; } .band.a { fill: var(--a); } .band.b { fill: var(--b); } .band.c { fill: var(--c); } .band.d { fill: var(--d); }
.beyond { fill: var(--soft); opacity: .1; }
output { position: absolute; right: 0; top: 1.6rem; padding: .1rem .6rem; border-radius: 6px; background: var(--panel);
  border: 1px solid var(--rule); font-size: .82rem; font-variant-numeric: tabular-nums; opacity: 0; pointer-events: none; }
.numbers { font-size: .85rem; } summary { cursor: pointer; } details { margin: .4rem 0; } .numbers > summary { color: var(--soft); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: .6rem 1.6rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: .6rem 1rem; align-items: stretch; }
.pair > * { min-width: 0; display: flex; flex-direction: column; } .pair > * > :last-child { flex: 1; }
article { margin: .7rem 0; border: 1px solid var(--rule); border-radius: 8px; padding: .5rem .8rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; overflow: auto; background: var(--panel); border-radius: 8px;
  padding: .6rem .8rem; margin: .3rem 0; font: .86rem/1.5 system-ui, sans-serif; }
.excerpt { max-height: 12.8rem; } .excerpt.open { max-height: none; }
button { align-self: start; flex: none !important; border: 1px solid var(--rule); border-radius: 6px; background: var(--panel); color: var(--ink);
  font: .82rem system-ui, sans-serif; padding: .15rem .7rem; cursor: pointer; }
.sample { white-space: pre-wrap; max-height: 16rem; overflow: auto; overflow-wrap: anywhere; margin: 0; padding: .7rem .9rem; background: var(--panel); border: 1px solid var(--rule);
  border-radius: 8px; } .prompt { background: var(--mark); border-radius: 3px; padding: 0 .15em; }
mark { background: var(--mark); color: inherit; border-radius: 3px; } ins { background: var(--add); text-decoration: none; border-radius: 3px; }
del { background: var(--cut); border-radius: 3px; } iframe { width: 100%; border: 1px solid var(--rule); height: 22rem; background: #fff; }
.swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .4rem; }
.tokens { max-width: none; font: 1rem/1.9 ui-monospace, monospace; } .tokens span { padding: .15em 0; border-radius: 3px; color: #16181c; cursor: pointer; }
.tokens span:hover { outline: 2px solid var(--ink); } .tokens .same { background: #16181c !important; color: #fff; outline: 2px solid var(--a); }
.c0 { background: #cfe8ff; } .c1 { background: #d3f5d0; } .c2 { background: #fdf3b8; } .c3 { background: #ffd9e6; } .c4 { background: #e6dcff; }
.tokens .special { background: #ff9d66; font-weight: 600; }
a { color: var(--a); } code { font-size: .92em; }
`;
