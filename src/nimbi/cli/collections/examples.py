"""Examples of commands, by operation; others are made of what the operation needs."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "instances.create": (
        "nimbi instances create -a local --image demo --name web --wait",
        "nimbi instances create -a aws --image ami-1 --profile t3.small --key me --tag env=test",
        "nimbi instances create -a local --image demo --user-data cloud-init.yaml --dry-run",
        "nimbi launch web    (the same, with the choices made for you)",
    ),
    "instances.create_many": (
        "nimbi instances create-many -a local --image demo --name worker --count 3",
    ),
    "instances.start": (
        "nimbi instances start web --wait",
        "nimbi instances list --state stopped -o name | xargs nimbi instances start",
    ),
    "instances.stop": ("nimbi instances stop web", "nimbi instances stop aws:i-1 local:i-2"),
    "instances.destroy": ("nimbi instances destroy web", "nimbi instances destroy aws:i-1 --yes"),
    "instances.resize": ("nimbi instances resize web --cpus 4 --memory-mib 8192",),
    "instances.run": (
        "nimbi instances run web --line 'uname -a' --user root --private-key \"$KEY\"",
    ),
    "instances.console": ("nimbi instances console web",),
    "instances.screenshot": ("nimbi instances screenshot web --into web.png",),
    "images.create": ("nimbi images create --instance web --name golden --wait",),
    "images.upload": ("nimbi images upload disk.qcow2 --name mine --format qcow2",),
    "images.read": ("nimbi images read golden --into golden.qcow2",),
    "keys.create": (
        'nimbi keys create me --public-key "$(cat ~/.ssh/id_ed25519.pub)"',
        "nimbi keys create me -o json | jq -r .private_key > me.pem",
    ),
    "firewalls.create": ("nimbi firewalls create web --description 'the web servers'",),
    "firewalls.create_rule": (
        "nimbi firewalls create-rule web --protocol tcp --port 80 --source any",
        "nimbi firewalls create-rule web --protocol tcp --port 8000-8010 --source group:lb",
    ),
    "addresses.associate": ("nimbi addresses associate 203.0.113.7 --instance web",),
    "networks.create": ("nimbi networks create --name back --address-block 10.1.0.0/16",),
    "subnets.create": (
        "nimbi subnets create --network back --address-block 10.1.1.0/24 --name rack-1",
    ),
    "load_balancers.create": ("nimbi load-balancers create front --listener http:80:8080",),
    "load_balancers.register": ("nimbi load-balancers register front --instance web",),
    "volumes.create": ("nimbi volumes create --size-gib 20 --name data --wait",),
    "volumes.attach": ("nimbi volumes attach data --instance web --device /dev/vdb",),
    "volumes.resize": ("nimbi volumes resize data --size-gib 40",),
    "snapshots.create": ("nimbi snapshots create --volume data --name before",),
    "buckets.create": ("nimbi buckets create photos -a local",),
    "blobs.page": ("nimbi blobs list photos", "nimbi blobs list local:photos --prefix 2030/"),
    "blobs.read": (
        "nimbi blobs read photos sea.jpg --into sea.jpg",
        "nimbi cp local:photos/sea.jpg .",
    ),
    "blobs.write": ("nimbi blobs write photos sea.jpg ./sea.jpg", "nimbi cp sea.jpg local:photos/"),
    "blobs.link": ("nimbi blobs link photos sea.jpg --seconds 3600",),
}
