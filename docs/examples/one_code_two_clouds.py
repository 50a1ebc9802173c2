"""Starts a machine in any cloud, reads its web page, removes it again. It knows no cloud.

one_code_two_clouds.py ENTRY_POINT DRIVER USER PASSWORD
"""

import base64
import json
import re
import sys
import time
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ENTRY_POINT, DRIVER, USER, PASSWORD = sys.argv[1:]
LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HEADERS = {"Authorization": LOGIN, "X-Deltacloud-Driver": DRIVER, "Accept": "application/json"}
HELLO = base64.b64encode(b"#!/bin/sh\necho hello from your program\n").decode()


def call(href, method="GET", **fields):
    request = Request(href, urlencode(fields).encode() or None, HEADERS, method=method)
    with urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or "null")


def page(address):
    """Return the title of the page at an address, or why there is none after some tries."""
    for _ in range(10):
        try:
            with urlopen(f"http://{address['address']}:{address.get('port', 80)}/") as answer:
                return re.search("<title>(.*?)</title>", answer.read().decode())[1]
        except OSError as error:
            why = error
            time.sleep(0.2)
    return f"none: {getattr(why, 'reason', why)}"


def actions(instance):
    return {action["rel"]: action["href"] for action in instance["actions"]}


links = {link["rel"]: link for link in call(ENTRY_POINT)["api"]["links"]}
can = {feature[0]["name"] for feature in links["instances"]["features"]}
image = call(links["images"]["href"])["images"][0]
profile = call(links["hardware_profiles"]["href"])["hardware_profiles"][0]
wish = {"image_id": image["id"], "hwp_id": profile["id"]}
wish |= {"name": "two-clouds"} if "user_name" in can else {}
wish |= {"user_data": HELLO} if "user_data" in can else {}
print(f"image: {image['id']}\nprofile: {profile['id']}", flush=True)

began = time.monotonic()
me = call(links["instances"]["href"], "POST", **wish)["instance"]
print(f"instance: {me['id']}", flush=True)
try:
    while me["state"] == "PENDING":
        time.sleep(0.5)
        me = call(me["href"])["instance"]
    print(f"{me['state'].lower()} after: {time.monotonic() - began:.1f} s", flush=True)
    address = me["public_addresses"][0]
    print(f"address: {address['address']}:{address.get('port', 80)}", flush=True)
    print(f"page: {page(address)}", flush=True)
finally:
    if "destroy" not in actions(me):  # this cloud wants it stopped first
        call(actions(me)["stop"], "POST")
        while "destroy" not in actions(call(me["href"])["instance"]):
            time.sleep(0.5)
    call(me["href"], "DELETE")
left = {other["id"] for other in call(links["instances"]["href"])["instances"]}
print(f"left over: {'something' if me['id'] in left else 'nothing'}")
