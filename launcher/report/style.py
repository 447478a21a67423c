"""The style of the page: one sheet for light and dark, for a desk and for a phone.

The colours are those of Okabe and Ito (2008), which people with any kind of colour blindness can
tell apart; on dark ground they are lighter.
"""

from __future__ import annotations

SHEET = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1d2126;--soft:#5c6670;--line:#dfe3e8;--card:#f6f7f9;
--c0:#0072b2;--c1:#d55e00;--c2:#00805c;--c3:#b0568d;--c4:#c98500;--c5:#2b8fc7;--c6:#6a4fb3;
--c7:#8a939c;--on:#fff}
@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e6e9ec;--soft:#9aa4ae;--line:#2e343a;
--card:#1c2024;--c0:#56b4e9;--c1:#f28e4b;--c2:#2fc49a;--c3:#e394c0;--c4:#f0b93a;--c5:#8fd0f5;
--c6:#a994ea;--c7:#7c8791;--on:#10151a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;font-variant-numeric:tabular-nums}
main,header{max-width:1080px;margin:0 auto;padding:0 20px}
header{padding-top:32px}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:44px 0 14px;padding-top:8px;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:22px 0 8px}
p{margin:8px 0}
.sub{color:var(--soft);margin:0;overflow-wrap:anywhere}
nav{position:sticky;top:0;z-index:1;background:var(--bg);border-bottom:1px solid var(--line);
margin-top:18px}
nav ul{max-width:1080px;margin:0 auto;padding:8px 20px;list-style:none;display:flex;gap:4px 18px;
flex-wrap:wrap;font-size:.9rem}
a{color:var(--c0);text-decoration:none}
a:hover{text-decoration:underline}
:target{scroll-margin-top:76px}
.state{display:inline-block;padding:1px 10px;border-radius:99px;font-size:.85rem;font-weight:600;
border:1.5px solid currentColor;white-space:nowrap}
h1 .state{vertical-align:4px;margin-left:6px}td .state{padding:0 8px;font-size:.8rem}
.ok{color:var(--c2)}.bad{color:var(--c1)}.run{color:var(--c0)}.off{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:12px;
margin:16px 0}
.tiles div{background:var(--card);border-radius:8px;padding:10px 14px}
.tiles b{display:block;font-size:1.35rem;font-weight:600;line-height:1.3}
.tiles span{color:var(--soft);font-size:.85rem}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));gap:16px}
figure{margin:0;background:var(--card);border-radius:8px;padding:12px 14px 10px;min-width:0}
figure+figure{margin-top:0}
figcaption{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;margin-bottom:6px;
font-size:.9rem}
.key{color:var(--soft);font-size:.85rem;white-space:nowrap;max-width:100%;overflow:hidden;
text-overflow:ellipsis}
.key i{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;
vertical-align:3px}
.k0{background:var(--c0)}.k1{background:var(--c1)}.k2{background:var(--c2)}.k3{background:var(--c3)}
.k4{background:var(--c4)}.k5{background:var(--c5)}.k6{background:var(--c6)}.k7{background:var(--c7)}
i.faint{opacity:.35}
svg{display:block;width:100%;height:auto;font-size:12.5px}
svg text{fill:var(--soft)}
svg .mid{text-anchor:middle}svg .end{text-anchor:end}
svg .grid{stroke:var(--line);stroke-width:1}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
svg .line.faint{opacity:.3;stroke-width:1}
.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}
.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.s6{stroke:var(--c6)}.s7{stroke:var(--c7)}
.line.s4,.line.s5{stroke-dasharray:7 4}.line.s6,.line.s7{stroke-dasharray:2 4}
circle{fill:var(--card);stroke-width:2}
.b0{fill:var(--c0)}.b1{fill:var(--c1)}.b2{fill:var(--c2)}.b3{fill:var(--c3)}.b4{fill:var(--c4)}
.b6{fill:var(--c6)}.b7{fill:var(--c7)}
.mark path{stroke:var(--c3);stroke-width:2;stroke-dasharray:4 3}
svg .mark text{fill:var(--c3);font-weight:600}
svg.matrix{max-width:620px;margin:0 auto;font-size:12.5px}
.matrix .cell{fill:var(--bg)}.m0{fill:var(--c0)}.m1{fill:var(--c1)}
svg.matrix .mid{fill:var(--fg)}svg.matrix .zero{fill:var(--line)}svg.matrix .on{fill:var(--on)}
.times{min-width:680px}
.bar{height:26px;border-radius:5px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;font-weight:600;color:var(--soft);white-space:nowrap}
td,th{padding:5px 14px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap}
td:last-child,th:last-child{padding-right:0}
table.tight td{white-space:nowrap}
table.slim{width:auto;min-width:min(420px,100%)}
.dot{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:8px}
.meter{display:inline-block;width:72px;height:7px;border-radius:4px;margin-left:8px;
background:linear-gradient(90deg,var(--c0) var(--v),var(--line) var(--v))}
pre{background:var(--card);border-radius:8px;padding:12px 14px;overflow:auto;max-height:440px;
font:13px/1.45 ui-monospace,"Cascadia Mono","DejaVu Sans Mono",Menlo,Consolas,monospace;
margin:8px 0}
code{font:.9em ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:minmax(110px,max-content) 1fr;gap:4px 20px;margin:8px 0;
font-size:.92rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
details{margin:8px 0}
summary{cursor:pointer;color:var(--c0);font-size:.92rem}
.note{color:var(--soft);font-size:.92rem;overflow-wrap:anywhere}
.one{max-width:560px}
.cause{border-left:4px solid var(--c1);padding:2px 0 2px 16px;margin:16px 0}
.cause b{overflow-wrap:anywhere}
.faces{display:grid;grid-template-columns:repeat(auto-fill,minmax(112px,1fr));gap:12px}
.faces div{background:var(--card);border-radius:8px;padding:10px;font-size:.82rem;line-height:1.35;
overflow-wrap:anywhere}
.faces img{display:block;width:92px;height:92px;image-rendering:pixelated;border-radius:4px;
margin-bottom:6px}
.shot{max-width:100%;height:auto;border-radius:8px}
footer{max-width:1080px;margin:48px auto 0;padding:14px 20px 32px;color:var(--soft);
font-size:.85rem}
@media(max-width:560px){main,header,nav ul{padding-left:14px;padding-right:14px}
nav{position:static}h1{font-size:1.35rem}
.tiles{grid-template-columns:repeat(auto-fill,minmax(140px,1fr))}
figure{padding:10px 8px}svg{font-size:14.5px}
dl{grid-template-columns:92px 1fr;gap:4px 12px}}
@media print{nav{position:static}details{display:block}pre{max-height:none}}
"""
