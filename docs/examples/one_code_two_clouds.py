"""Starts a machine in any cloud, reads its web page, removes it again. It knows no cloud.

one_code_two_clouds.py ENTRY_POINT DRIVER USER PASSWORD
"""

import base64
import http.client
import re
import socket
import sys
import time
import urllib.request
from urllib.parse import urlencode
from xml.etree import ElementTree

ENTRY_POINT, DRIVER, USER, PASSWORD = sys.argv[1:]
LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HEADERS = {"Authorization": LOGIN, "X-Deltacloud-Driver": DRIVER, "Accept": "application/xml"}
NAME, WAIT_S = "two-clouds", 120


def call(href, method="GET", **fields):
    body = urlencode(fields).encode() or None
    request = urllib.request.Request(href, body, HEADERS, method=method.upper())
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return ElementTree.fromstring(answer.read() or "<empty/>")


def wait(look):
    """Return what `look` returns, as soon as that is something."""
    until = time.monotonic() + WAIT_S
    while (found := look()) is None and time.monotonic() < until:
        time.sleep(0.5)
    return found


def page(address):
    """Return the title of the page there, why there can be none, or None when it may come yet."""
    try:
        port = address.get("port", "80")
        with urllib.request.urlopen(f"http://{address.text}:{port}/", timeout=10) as answer:
            return re.search("<title>(.*?)</title>", answer.read().decode())[1]
    except (OSError, http.client.HTTPException) as error:
        unknown = isinstance(getattr(error, "reason", None), socket.gaierror)
        return "none, the name leads nowhere" if unknown else None


def running():
    instance = call(me)
    return instance if instance.findtext("state") == "RUNNING" else None


def tell(what, value):
    print(f"{what}: {value}", flush=True)


api = call(ENTRY_POINT)
links = {link.get("rel"): link.get("href") for link in api.findall("link")}
can = {feature.get("name") for feature in api.findall("link[@rel='instances']/feature")}

image = call(links["images"])[0]
profiles = image.findall("hardware_profiles/*") or call(links["hardware_profiles"])
wish = {"image_id": image.get("id"), "hwp_id": profiles[0].get("id")}
if "user_name" in can:
    wish["name"] = NAME
if "user_data" in can:
    wish["user_data"] = base64.b64encode(b"#!/bin/sh\necho hello from your program\n")
if "authentication_key" in can:
    key = call(links["keys"], "POST", name=NAME)
    wish["keyname"] = key.get("id")
tell("image", image.get("id"))
tell("profile", wish["hwp_id"])

began = time.monotonic()
me = call(links["instances"], "POST", **wish).get("href")
tell("instance", me.rpartition("/")[2])
try:
    address = wait(running).find("public_addresses/address")
    tell("running after", f"{time.monotonic() - began:.1f} s")
    tell("address", ":".join(filter(None, [address.text, address.get("port")])))
    tell("page", wait(lambda: page(address)))
finally:
    actions = {link.get("rel"): link.get("href") for link in call(me).findall("actions/link")}
    if "destroy" not in actions:
        call(actions["stop"], "POST")
        wait(lambda: call(me).find("actions/link[@rel='destroy']"))
    call(me, "DELETE")
    if "keyname" in wish:
        call(key.get("href"), "DELETE")
    wait(lambda: me not in [other.get("href") for other in call(links["instances"])] or None)
    left = {thing.get("id") for rel in ("instances", "keys") for thing in call(links[rel])}
    tell("left over", "something" if {me.rpartition("/")[2], NAME} & left else "nothing")
