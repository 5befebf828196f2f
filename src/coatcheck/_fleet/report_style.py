"""The style of the HTML report of a fleet."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1f2328; --soft: #59636e; --line: #d1d9e0; --field: #f6f8fa;
  --good: #1a7f37; --bad: #cf222e; --waiting: #bf8700; --moving: #0969da; --open: #8c959f; --none: #c9d1d9; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #e6edf3; --soft: #9198a1; --line: #3d444d;
  --field: #151b23; --good: #3fb950; --bad: #f85149; --waiting: #d29922; --moving: #4493f8; --open: #7d8590;
  --none: #484f58; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1, h2, summary, dd, li { overflow-wrap: anywhere; } th, td { overflow-wrap: break-word; }
h1 { margin: .5rem 0 1rem; font-size: 1.6rem; line-height: 1.2; }
h2 { margin: 2rem 0 .5rem; font-size: 1.2rem; border-bottom: 1px solid var(--line); }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: var(--soft); }
svg.small { width: 7.5rem; }
.grid { stroke: var(--line); }
.good { fill: var(--good); } .bad { fill: var(--bad); } .waiting { fill: var(--waiting); }
.moving { fill: var(--moving); } .open { fill: var(--open); } .none { fill: var(--none); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0; padding: 0; list-style: none; }
.dot { display: inline-block; width: .75em; height: .75em; border-radius: 2px; }
.dot.good { background: var(--good); } .dot.bad { background: var(--bad); } .dot.waiting { background: var(--waiting); }
.dot.moving { background: var(--moving); } .dot.open { background: var(--open); } .dot.none { background: var(--none); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .75rem 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; } dd ul { margin: .15rem 0; padding-left: 1.1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-weight: normal; white-space: nowrap; }
tbody th { font-weight: 600; }
code { padding: .1em .3em; border-radius: 3px; background: var(--field); font: .85em ui-monospace, monospace; }
a { color: var(--moving); } .note { color: var(--soft); font-size: .9rem; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; } summary { cursor: pointer; }
.state { color: var(--soft); } .state.delivered { color: var(--good); }
.state.failed, .state.exhausted { color: var(--bad); } .state.waiting, .state.conflict { color: var(--waiting); }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .4rem; }
  .stacked thead { display: none; } .stacked tr { display: block; padding: .4rem 0; border-bottom: 1px solid var(--line); }
  .stacked th, .stacked td { display: block; padding: 0; border: 0; overflow-wrap: anywhere; } }
@media print { :root { --page: #fff; --text: #000; --soft: #444; --line: #bbb; --field: #fff; }
  main { max-width: none; padding: 0; } section, tr, details { break-inside: avoid; } section:last-child { break-inside: auto; }
  details::details-content { content-visibility: visible; height: auto; } .scroll { overflow: visible; } }
"""
