"""The page's style: one column for a laptop, tables that scroll by themselves, light and dark."""

CSS = """
:root { --ink:#1b1f24; --soft:#5b6470; --rule:#d9dee5; --ground:#f5f6f8; --card:#ffffff; --accent:#0b6bcb; --good:#18794e; --bad:#b3261e; --warn:#8a5a00;
  --good-ground:#e3f4ea; --bad-ground:#fbe9e7; --warn-ground:#fdf1da; --soft-ground:#eceff3; --stripe:#fafbfc;
  --font:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;
  --mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace; }
@media (prefers-color-scheme: dark) {
  :root { --ink:#e4e7ec; --soft:#9aa4b2; --rule:#343b46; --ground:#14171c; --card:#1c2128; --accent:#6cb2ff; --good:#6fd3a0; --bad:#ff9a8f; --warn:#f0c060;
    --good-ground:#173527; --bad-ground:#3d1f1c; --warn-ground:#3a2f17; --soft-ground:#2a303a; --stripe:#20262e; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--ground); color:var(--ink); font:14px/1.5 var(--font); }
main { max-width:1360px; margin:0 auto; padding:28px 24px 64px; }
h1 { font-size:26px; line-height:1.2; margin:0 0 4px; letter-spacing:-.01em; overflow-wrap:anywhere; }
h2 { font-size:17px; margin:0 0 4px; }
h3 { font-size:14px; margin:0 0 2px; }
p { margin:0 0 10px; max-width:92ch; }
.soft { color:var(--soft); }
.answer { font-weight:600; }
.lead { font-size:16px; margin:12px 0 0; max-width:100ch; }
section { background:var(--card); border:1px solid var(--rule); border-radius:10px; padding:18px 20px 16px; margin-top:18px; }
.facts { display:grid; grid-template-columns:repeat(auto-fit,minmax(180px,1fr)); gap:12px; margin-top:18px; }
.fact { background:var(--card); border:1px solid var(--rule); border-radius:10px; padding:12px 16px; }
.fact b { display:block; font-size:20px; line-height:1.25; font-variant-numeric:tabular-nums; overflow-wrap:anywhere; }
.fact span { color:var(--soft); font-size:12.5px; }
.scroll { overflow-x:auto; margin:8px -20px 0; padding:0 20px; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th { text-align:right; font-weight:600; font-size:12px; color:var(--soft); padding:6px 9px; border-bottom:1px solid var(--rule); vertical-align:bottom;
  white-space:nowrap; }
td { text-align:right; padding:7px 9px; border-bottom:1px solid var(--rule); vertical-align:top; white-space:nowrap; }
tr:last-child td { border-bottom:0; }
th.left,td.left { text-align:left; }
td.wrap { white-space:normal; min-width:120px; }
td small,th small { display:block; color:var(--soft); font-size:11.5px; font-weight:400; }
tr.reference td { background:var(--stripe); }
tr.divide td { border-top:2px solid var(--rule); }
.swatch { display:inline-block; width:10px; height:10px; border-radius:3px; margin-right:7px; }
.pill { display:inline-block; border-radius:99px; padding:0 8px; font-size:11.5px; line-height:18px; background:var(--soft-ground); color:var(--soft);
  white-space:nowrap; }
.pill.good { background:var(--good-ground); color:var(--good); } .pill.bad { background:var(--bad-ground); color:var(--bad); }
  .pill.warn { background:var(--warn-ground); color:var(--warn); }
.best { font-weight:700; }
figure { margin:10px 0 0; } figure svg { display:block; width:100%; height:auto; max-width:980px; } figcaption { color:var(--soft); font-size:12.5px;
  margin-top:6px; max-width:100ch; }
.schedules { display:grid; grid-template-columns:repeat(auto-fill,minmax(480px,1fr)); gap:22px 28px; margin-top:12px; }
@media (max-width:640px) { .schedules { grid-template-columns:1fr; } main { padding:16px 12px; } }
dl { display:grid; grid-template-columns:max-content 1fr; gap:4px 18px; margin:10px 0 0; } dt { color:var(--soft); } dd { margin:0; overflow-wrap:anywhere; }
code,pre { font:12.5px/1.5 var(--mono); } pre { background:var(--soft-ground); border-radius:8px; padding:10px 14px; overflow-x:auto; margin:10px 0 0; }
details summary { cursor:pointer; color:var(--accent); }
"""
