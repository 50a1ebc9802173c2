#!/bin/sh
# The same for programs.
read -r up idle </proc/uptime
printf 'Content-Type: application/json\r\nCache-Control: no-store\r\n\r\n'
printf '{"hostname": "%s", "instance_id": "%s", "uptime_s": %s, "boots": %s, "user_data_sha256": "%s"}\n' \
    "$(hostname)" "$(cat /var/lib/nimbi/instance-id)" "$up" "$(cat /var/lib/nimbi/boots)" \
    "$(sha256sum </var/lib/nimbi/user-data | cut -d ' ' -f 1)"
