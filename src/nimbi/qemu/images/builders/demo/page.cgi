#!/bin/sh
# The page that a guest serves: who it is, since when, and what it was given.
escape() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }
read -r up idle </proc/uptime
printf 'Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\r\n'
cat <<PAGE
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$(hostname)</title></head>
<body><h1>$(hostname)</h1>
<dl><dt>Instance</dt><dd>$(escape </var/lib/nimbi/instance-id)</dd>
<dt>Up</dt><dd>$up s</dd>
<dt>Kernel</dt><dd>$(uname -r)</dd>
<dt>User data</dt><dd><pre>$(/usr/lib/nimbi/user-data | escape)</pre></dd></dl>
</body></html>
PAGE
