"""How the page of a drill looks. Good and bad differ by shape, mark and weight too, never by colour alone."""

from quorate.report.markup import Html

_LIGHT = """
--paper:#fff; --panel:#f5f6f7; --ink:#1c2126; --muted:#5b6670; --rule:#dfe3e6; --accent:#1f5f99; --tick:#8fa3b5;
--bad:#b5380b; --tint:#fdece3; --gap:#b5380b26; --narrow:#eceff1;
--host0:#bcd5ee; --host1:#f5d79f; --host2:#b5dfd3; --host3:#ddcdea; --host4:#e5d2bd; --host5:#d3d8dd;
"""
_DARK = """
--paper:#15181b; --panel:#1d2125; --ink:#e3e7ea; --muted:#9aa5ae; --rule:#30363c; --accent:#84b7ea; --tick:#6f8396;
--bad:#ff9166; --tint:#3b2218; --gap:#ff916633; --narrow:#212529;
--host0:#264c75; --host1:#69490f; --host2:#1c594e; --host3:#523a68; --host4:#594530; --host5:#40474e;
"""
_TEXT = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1280px;padding:40px 32px 72px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
h1{font-size:30px;line-height:1.2;font-weight:650;letter-spacing:-.01em;margin:2px 0 18px;overflow-wrap:anywhere}
h2{font-size:20px;font-weight:650;margin:52px 0 6px}
h3{font-size:16px;font-weight:650;margin:0}
p{margin:0}
a{color:var(--accent);text-decoration:none}
a:hover{text-decoration:underline}
.brand{color:var(--muted);font-size:13px;letter-spacing:.04em}
.note,.past,figcaption{color:var(--muted);font-size:13.5px;max-width:76ch}
.past{margin-top:14px}
dl,ul{margin:0;padding:0;list-style:none}
dd{margin:0}
dt{color:var(--muted);font-size:12.5px}
.facts{display:flex;flex-wrap:wrap;gap:10px 32px}
.facts dd{overflow-wrap:anywhere}
.verdict{margin-top:28px;padding:20px 24px;background:var(--panel);
border-left:4px solid var(--accent);border-radius:4px}
.flawed{border-color:var(--bad)}
.sentence{font-size:19px;font-weight:600;line-height:1.4}
.sentence span{color:var(--accent)}
.flawed .sentence span{color:var(--bad)}
.tiles{display:flex;flex-wrap:wrap;gap:12px 36px;margin-top:14px}
.tiles div{display:flex;flex-direction:column-reverse}
.tiles dd{font-size:21px;font-weight:600;line-height:1.3}
.tiles .bad dd{color:var(--bad)}
.wrongs{margin-top:16px;padding-top:14px;border-top:1px solid var(--rule);overflow-wrap:anywhere}
.mark{font-weight:700;color:var(--accent)}
.mark.missed{color:var(--bad)}
"""
_TABLE = """
.scroll{overflow-x:auto;margin-top:14px}
table{border-collapse:collapse;font-size:13.5px;min-width:100%}
.small table{min-width:min(100%,520px)}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:6px;border-bottom:1px solid var(--rule);text-align:left;vertical-align:baseline}
thead th{color:var(--muted);font-weight:500;font-size:12.5px;vertical-align:bottom}
tbody th{font-weight:500;min-width:130px}
tbody th,thead tr:first-child th:first-child{position:sticky;left:0;background:var(--paper)}
.n{text-align:right;white-space:nowrap}
thead .n{white-space:normal}
.edge{padding-left:18px}
.group{color:var(--ink);padding-left:18px;font-weight:600}
.quiet,.none{color:var(--muted)}
.none{text-align:right}
.most{font-weight:650}
.bad{color:var(--bad);font-weight:650}
td.bad{background:var(--tint)}
.longer{color:var(--bad)}
.shorter{color:var(--accent)}
.skipped{color:var(--muted);font-style:italic}
.prose{min-width:220px;overflow-wrap:anywhere}
.fate{white-space:nowrap}
.void{color:var(--muted);font-style:italic}
details{margin-top:10px;font-size:13.5px}
summary{cursor:pointer;color:var(--accent);width:max-content}
"""
_PICTURE = """
article{margin-top:30px;padding-top:22px;border-top:1px solid var(--rule)}
figure{margin:8px 0 0}
figcaption{margin-top:4px}
svg{display:block;width:100%;font:11.5px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;
font-variant-numeric:tabular-nums}
svg text{fill:var(--ink)}
.timeline{min-width:820px}
.timeline .lane{text-anchor:end;fill:var(--muted);font-size:12px}
.narrow{fill:var(--narrow)}
.axis{stroke:var(--muted);fill:none;stroke-width:1}
svg .number{text-anchor:middle;fill:var(--muted);font-size:11px}
svg .before{text-anchor:end}
.tick{fill:none}
.tick.good{stroke:var(--tick);stroke-width:8;opacity:.6}
.tick.bad{stroke:var(--bad);stroke-width:18}
.gap{fill:var(--gap)}
svg .length{font-weight:600;paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
svg .length.missed{fill:var(--bad)}
.timeline .mark{fill:none;stroke:var(--ink);stroke-width:1.2}
.timeline .healed{stroke-dasharray:6 4}
.timeline .well{stroke-dasharray:1.5 3.5}
svg .when{font-weight:600}
.host0{fill:var(--host0)}.host1{fill:var(--host1)}.host2{fill:var(--host2)}
.host3{fill:var(--host3)}.host4{fill:var(--host4)}.host5{fill:var(--host5)}
.fine{fill:var(--tick)}
.coming{fill:var(--panel);stroke:var(--muted);stroke-dasharray:3 2}
.ill{fill:var(--tint);stroke:var(--bad)}
svg .on{fill:var(--ink)}
svg text.on{stroke:none}
.strips{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:8px 20px;margin-top:14px}
.strip{max-width:380px}
.strip .name{font-weight:600}
.strip .max{text-anchor:end;fill:var(--muted)}
.dot{fill:var(--accent);fill-opacity:.6}
.dot.missed{fill:var(--bad);fill-opacity:.9}
.goal{stroke:var(--ink);stroke-width:1.2;stroke-dasharray:4 3}
.strip .aim{fill:var(--muted)}
.strip .aim.missed{fill:var(--bad);font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:4px 22px;margin-top:8px;color:var(--muted);font-size:13px}
.key{display:inline-block;width:22px;height:12px;margin-right:7px;vertical-align:-1px}
.key.tick{background:repeating-linear-gradient(90deg,var(--tick) 0 2px,transparent 2px 4px)}
.key.fail{background:var(--bad);width:3px;height:16px;vertical-align:-3px}
.key.gap{background:var(--gap)}
.key.thin{background:var(--tick);height:4px;vertical-align:3px}
.key.block{background:var(--tint);border:1px solid var(--bad)}
.key.narrow{background:var(--narrow)}
"""
_PRINT = """
@media (max-width:640px){body{padding:24px 16px 48px}h1{font-size:25px}.verdict{padding:16px}.tiles{gap:10px 24px}}
@media print{body{max-width:none;padding:0;font-size:11px}table{font-size:9.5px}th,td{padding:3px 4px}
.scroll{overflow:visible}.timeline{min-width:0}article,figure,tr,.strips{break-inside:avoid}h2,h3{break-after:avoid}
details{display:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}a{color:inherit}@page{margin:14mm}}
"""
STYLE = Html(
    f":root{{color-scheme:light dark;{_LIGHT}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    f"{_TEXT}{_TABLE}{_PICTURE}{_PRINT}"
)
"""The whole of it; it names nothing that lies elsewhere."""
