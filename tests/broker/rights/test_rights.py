"""Tenants, users, groups, roles, grants: what flows down, and that nobody gives more."""

import pytest
from tests.broker.rights.towns import Town

from nimbi.broker.access import ADMIN, Caller, may
from nimbi.broker.people import People
from nimbi.broker.rights.authorization import Authorization
from nimbi.model.errors import Conflict, Forbidden, Invalid, NotFound, Throttled, Unauthorized
from nimbi.model.people import (
    DEEPEST,
    Effect,
    NewGrant,
    NewGroup,
    NewRole,
    NewTenant,
    NewUser,
    Owner,
    RoleChange,
    RoleRule,
    TenantChange,
    UserChange,
    UserKind,
)
from nimbi.model.tokens import NewToken, Scope
from nimbi.store.directory import DirectoryStore
from nimbi.store.tenants import PROJECT

ALLOW, DENY = Effect.ALLOW, Effect.DENY
HERE = "203.0.113.7"
PASSWORD = "correct horse"


async def test_a_grant_flows_down_the_tree_and_not_up_or_across(town: Town) -> None:
    ann = await town.user("ann", "operator", "acme")
    for place in ("acme", "acme/web", "acme/ops"):
        assert may(await town.caller(ann, place), "instances.stop", None)
    for place in ("root", "other", "other/shop", "nowhere"):
        with pytest.raises(Forbidden, match="no role there"):
            await town.caller(ann, place)


async def test_a_tenant_that_another_process_has_just_made_is_found(town: Town) -> None:
    database = town.whole.broker.ground.database
    before = await DirectoryStore(database).directory()
    assert await Authorization(DirectoryStore(database)).found("acme/web") == town.ids["acme/web"]
    new = NewTenant(name="new", parent="acme")
    made = await town.rights.tenants.create(ADMIN, PROJECT, new)
    for told in (made.id, "acme/new"):
        # It knows the tree as it was before.
        other = Authorization(DirectoryStore(database))
        other._directory, other._until = before, float("inf")
        assert await other.found(told) == made.id
        assert await other.path(made.id) == ("root", town.ids["acme"], made.id)
    for told in ("acme/nowhere", "nowhere", ""):
        with pytest.raises(NotFound):
            await other.found(told)


async def test_several_roles_allow_what_one_of_them_allows(town: Town) -> None:
    await town.role("starter", RoleRule(DENY, "instances.destroy"), RoleRule(ALLOW, "instances.*"))
    await town.role("sweeper", RoleRule(ALLOW, "*.destroy"), RoleRule(DENY, "read"))
    ann = await town.user("ann", "starter", "acme/web")
    alone = await town.caller(ann)
    assert may(alone, "instances.start", None)
    assert not may(alone, "instances.destroy", None)
    await town.grant(ann, "sweeper", "acme")
    both = await town.caller(ann, "acme/web")
    assert all(may(both, f"instances.{verb}", None) for verb in ("start", "page", "destroy"))
    assert may(both, "volumes.destroy", None)
    assert not may(both, "volumes.page", None)


async def test_a_group_gives_its_members_what_it_has_until_they_leave(town: Town) -> None:
    ann = await town.user("ann", place="acme")
    group = await town.rights.groups.create(ADMIN, NewGroup(name="crew", tenant="acme"))
    await town.rights.grants.create(ADMIN, NewGrant(role="user", tenant="acme/web", group=group.id))
    with pytest.raises(Forbidden, match="no role anywhere"):
        await town.caller(ann)
    assert (await town.rights.groups.add_member(ADMIN, "crew", "ann")).members == (ann,)
    caller = await town.caller(ann)
    assert caller.tenant == town.ids["acme/web"]
    assert may(caller, "instances.create", None)
    (grant,) = await town.rights.grants.page(ADMIN, user="ann")
    assert grant.group == group.id
    await town.rights.groups.remove_member(ADMIN, group.id, ann)
    with pytest.raises(Forbidden):
        await town.rights.people.acting(caller.owner)


async def test_what_goes_on_after_a_request_may_no_more_than_its_owner_may_now(town: Town) -> None:
    ann = await town.user("ann", "user", "acme/web")
    caller = await town.caller(ann)
    acting = await town.rights.people.acting(caller.owner)
    assert (acting.user, acting.tenant, acting.rules) == (ann, caller.tenant, caller.rules)
    await town.rights.users.change(ADMIN, ann, UserChange(is_enabled=False))
    with pytest.raises(Forbidden, match="disabled"):
        await town.rights.people.acting(caller.owner)
    await town.rights.users.change(ADMIN, ann, UserChange(is_enabled=True))
    await town.rights.tenants.change(ADMIN, "acme", TenantChange(is_enabled=False))
    with pytest.raises(Forbidden, match="disabled"):
        await town.rights.people.acting(caller.owner)
    assert await town.rights.people.acting(ADMIN.owner) == ADMIN
    gone = Owner(user=ann, name="ann", tenant="t-000000000000")
    with pytest.raises(Forbidden, match="not there"):
        await town.rights.people.acting(gone)


async def test_a_token_of_a_user_acts_in_one_tenant_and_dies_with_the_user(town: Town) -> None:
    people = town.rights.people
    ann = await town.user("ann", "operator", "acme")
    caller = await town.caller(ann, "acme")
    made = await people.create_token(caller, NewToken(name="ci", tenant="acme/web"))
    assert (made.token.user, made.token.tenant) == (ann, town.ids["acme/web"])
    known = await people.caller_of(made.secret, HERE)
    assert (known.id, known.name, known.tenant) == (made.token.id, "ann", town.ids["acme/web"])
    # What that token makes stays where it is.
    with pytest.raises(Forbidden):
        await people.create_token(known, NewToken(name="up", tenant="acme"))
    await town.rights.users.change(ADMIN, "ann", UserChange(is_enabled=False))
    with pytest.raises(Forbidden, match="disabled"):
        await people.caller_of(made.secret, HERE)
    await town.rights.users.destroy(ADMIN, "ann")
    with pytest.raises(Unauthorized):
        await people.caller_of(made.secret, HERE)


async def test_a_token_is_not_made_for_rights_that_its_maker_lacks(town: Town) -> None:
    people = town.rights.people
    ann = await town.user("ann", "auditor", "acme")
    await town.grant(ann, "user", "acme/web")
    reader = await town.caller(ann, "acme")
    with pytest.raises(Forbidden, match="gives it to no token"):
        await people.create_token(reader, NewToken(name="more", tenant="acme/web"))
    await people.create_token(reader, NewToken(name="same", tenant="acme/ops"))


async def test_a_service_account_has_tokens_from_those_who_have_its_rights(town: Town) -> None:
    people, users = town.rights.people, town.rights.users
    new = NewUser(name="ci", kind=UserKind.SERVICE, tenant="acme/web")
    with pytest.raises(Invalid, match="no password"):
        NewUser(name="ci", kind=UserKind.SERVICE, password=PASSWORD).check()
    robot = await users.create(ADMIN, new)
    await town.grant(robot.id, "user", "acme/web")
    boss = await town.arrived("boss", "domain-admin", "acme")
    wish = NewToken(name="robot", user="ci", tenant="acme/web", scopes=(Scope("instances.*"),))
    made = await people.create_token(boss, wish)
    assert (await people.caller_of(made.secret, HERE)).user == robot.id
    await town.user("bob", "user", "acme/web")
    with pytest.raises(Forbidden, match="only service accounts"):
        await people.create_token(boss, NewToken(name="bob", user="bob", tenant="acme/web"))
    for place in ("other", "acme/ops"):
        stranger = await town.arrived(f"at-{place[-3:]}", "domain-admin", place)
        with pytest.raises((Forbidden, NotFound)):
            await people.create_token(stranger, wish)
    with pytest.raises(Invalid):
        await users.change(ADMIN, "ci", UserChange(password=PASSWORD))


async def test_each_sees_its_own_tokens_and_who_looks_after_people_those_below(town: Town) -> None:
    people = town.rights.people
    boss = await town.arrived("boss", "domain-admin", "acme")
    ann = await town.arrived("ann", "user", "acme/web")
    bob = await town.arrived("bob", "user", "acme/web")
    tokens = {
        name: (await people.create_token(who, NewToken(name=name))).token
        for name, who in (("boss", boss), ("ann", ann), ("bob", bob), ("admin", ADMIN))
    }

    async def seen(caller: Caller) -> set[str]:
        return {token.name for token in await people.tokens(caller)}

    assert await seen(ann) == {"ann"}
    assert await seen(boss) == {"boss", "ann", "bob"}
    assert await seen(ADMIN) == set(tokens)
    for other in ("bob", "boss", "admin"):
        with pytest.raises(NotFound):
            await people.token(tokens[other].id, ann)
        with pytest.raises(NotFound):
            await people.revoke(tokens[other].id, ann)
    await people.revoke(tokens["bob"].id, boss)
    auditor = await town.arrived("eve", "auditor", "acme")
    with pytest.raises(Forbidden):
        await people.revoke(tokens["ann"].id, auditor)


async def test_any_user_signs_in_by_password_and_guessing_is_slowed_down(town: Town) -> None:
    people, users = town.rights.people, town.rights.users
    new = NewUser(name="ann", tenant="acme/web", password=PASSWORD)
    ann = await users.create(ADMIN, new)
    assert PASSWORD not in repr(new)
    with pytest.raises(Forbidden, match="no role anywhere"):
        await people.sign_in("ann", PASSWORD, HERE)
    await town.grant(ann.id, "user", "acme/web")
    assert (await people.sign_in("ann", PASSWORD, HERE)).user == ann.id
    assert (await people.sign_in("ann", PASSWORD, HERE, "acme/web")).user == ann.id
    for name in ("ann", "nobody"):
        with pytest.raises(Unauthorized, match="no such user and password"):
            await people.sign_in(name, "wrong horse", HERE)
    with pytest.raises(Throttled):
        for _ in range(6):
            with pytest.raises(Unauthorized):
                await people.sign_in("ann", "wrong horse", HERE)
    await users.change(ADMIN, "ann", UserChange(is_enabled=False))
    with pytest.raises(Forbidden):
        await people.sign_in("ann", PASSWORD, "203.0.113.8")


async def test_who_has_roles_in_several_places_says_where_to_act(town: Town) -> None:
    ann = await town.user("ann", place="root")
    await town.grant(ann, "user", "acme/web")
    await town.grant(ann, "user", "other/shop")
    with pytest.raises(Invalid, match="acme/web, other/shop"):
        await town.caller(ann)
    assert (await town.caller(ann, "other/shop")).tenant == town.ids["other/shop"]


async def test_a_password_of_ones_own_is_changed_by_telling_the_old_one(town: Town) -> None:
    users, people = town.rights.users, town.rights.people
    ann = await users.create(ADMIN, NewUser(name="ann", tenant="acme/web", password=PASSWORD))
    await town.grant(ann.id, "user", "acme/web")
    caller = await town.caller(ann.id)
    with pytest.raises(Forbidden):
        await users.change(caller, "ann", UserChange(password="another horse"))
    wish = UserChange(password="another horse", old_password="wrong horse")
    with pytest.raises(Forbidden, match="old password"):
        await users.change(caller, "ann", wish)
    wish = UserChange(password="another horse", old_password=PASSWORD)
    await users.change(caller, "ann", wish, HERE)
    assert (await people.sign_in("ann", "another horse", HERE)).user == ann.id
    # Nor by who may change users: a token that was found is not to become the user.
    boss = await town.arrived("boss", "domain-admin", "acme")
    for more in (UserChange(password=PASSWORD), UserChange(password=PASSWORD, is_enabled=True)):
        with pytest.raises(Forbidden, match="takes the old one"):
            await users.change(boss, "boss", more)
    # Not more than the password, and of nobody else.
    with pytest.raises(Forbidden):
        await users.change(caller, "ann", UserChange(email="a@b.example", old_password=PASSWORD))
    await town.user("bob", "user", "acme/web")
    with pytest.raises(Forbidden):
        await users.change(caller, "bob", wish)


async def test_nobody_gives_a_role_beyond_their_own(town: Town) -> None:
    grants, roles = town.rights.grants, town.rights.roles
    await town.role(
        "giver", RoleRule(ALLOW, "grants.*"), RoleRule(ALLOW, "roles.*"), RoleRule(ALLOW, "read")
    )
    giver = await town.arrived("giver", "giver", "acme")
    ann = await town.user("ann", place="acme/web")
    for role in ("admin", "domain-admin", "operator", "user"):
        with pytest.raises(Forbidden, match="gives it to nobody"):
            await grants.create(giver, NewGrant(role=role, tenant="acme/web", user=ann))
    await grants.create(giver, NewGrant(role="auditor", tenant="acme/web", user=ann))
    with pytest.raises(Forbidden, match=r"instances\.start"):
        rules = (RoleRule(ALLOW, "instances.start"),)
        await roles.create(giver, NewRole(name="mine", rules=rules))
    mine = await roles.create(giver, NewRole(name="mine", rules=(RoleRule(ALLOW, "read"),)))
    with pytest.raises(Forbidden):
        await roles.change(giver, mine.id, RoleChange(rules=(RoleRule(ALLOW, "*"),)))
    # A role whose rules were widened by somebody with more is not for this one to give on.
    await roles.change(ADMIN, mine.id, RoleChange(rules=(RoleRule(ALLOW, "instances.*"),)))
    with pytest.raises(Forbidden):
        await grants.create(giver, NewGrant(role="mine", tenant="acme", user=ann))
    with pytest.raises(Forbidden):
        await roles.change(giver, mine.id, RoleChange(text="wide"))
    for place in ("other", "root"):
        with pytest.raises(NotFound):
            await grants.create(giver, NewGrant(role="auditor", tenant=place, user=ann))


async def test_a_token_with_narrow_scopes_gives_no_more_than_they_say(town: Town) -> None:
    ann = await town.user("ann", place="acme/web")
    people = town.rights.people
    made = await people.create_token(
        ADMIN, NewToken(name="narrow", scopes=(Scope("grants.*"), Scope("read")))
    )
    caller = await people.caller_of(made.secret, HERE)
    with pytest.raises(Forbidden):
        await town.rights.grants.create(caller, NewGrant(role="user", tenant="acme/web", user=ann))
    await town.rights.grants.create(caller, NewGrant(role="auditor", tenant="acme", user=ann))


async def test_nobody_gets_more_by_a_group_or_by_anothers_password(town: Town) -> None:
    groups, users = town.rights.groups, town.rights.users
    boss = await town.arrived("boss", "domain-admin", "acme")
    strong = await town.user("strong", "admin", "root")
    await users.change(ADMIN, strong, UserChange(tenant="acme"))
    group = await groups.create(ADMIN, NewGroup(name="strong", tenant="acme"))
    await town.rights.grants.create(ADMIN, NewGrant(role="admin", tenant="root", group=group.id))
    for attempt in (
        groups.add_member(boss, "strong", "boss"),
        groups.remove_member(boss, "strong", "boss"),
        groups.destroy(boss, "strong"),
        users.change(boss, "strong", UserChange(password=PASSWORD)),
        users.change(boss, "strong", UserChange(is_enabled=False)),
        users.destroy(boss, "strong"),
    ):
        with pytest.raises(Forbidden):
            await attempt
    with pytest.raises(Forbidden, match="operator"):
        await users.change(ADMIN, "admin", UserChange(is_enabled=False))
    with pytest.raises(Forbidden, match="operator"):
        await users.destroy(ADMIN, "admin")


async def test_nobody_gets_more_by_moving_tenants(town: Town) -> None:
    tenants = town.rights.tenants
    await town.role("mover", RoleRule(ALLOW, "domains.*"), RoleRule(ALLOW, "projects.*"))
    await tenants.create(ADMIN, "domain", NewTenant(name="lab", parent="acme"))
    await town.user("ann", "user", "acme/lab")
    mover = await town.arrived("mover", "mover", "acme")
    with pytest.raises(Forbidden, match="gives it to nobody"):
        await tenants.change(mover, "acme/web", TenantChange(parent="acme/lab"))
    for place in ("root", "other"):
        with pytest.raises(NotFound):
            await tenants.change(mover, "acme/web", TenantChange(parent=place))
    with pytest.raises(Forbidden, match="domain above"):
        await tenants.change(mover, "acme", TenantChange(name="mine"))
    boss = await town.arrived("boss", "domain-admin", "acme")
    moved = await tenants.change(boss, "acme/web", TenantChange(parent="acme/lab"))
    assert moved.place == "acme/lab/web"


async def test_a_move_does_not_give_the_use_of_an_account(town: Town) -> None:
    await town.settle_account("of-acme")
    await town.role("mover", RoleRule(ALLOW, "projects.*"), RoleRule(ALLOW, "read"))
    mover = await town.arrived("mover", "mover", "root")
    with pytest.raises(Forbidden, match=r"accounts\.lend"):
        await town.rights.tenants.change(mover, "other/shop", TenantChange(parent="acme"))


async def test_all_that_is_below_goes_along_when_a_domain_moves(town: Town) -> None:
    tenants = town.rights.tenants
    moved = await tenants.change(ADMIN, "acme", TenantChange(parent="other", name="acme-2"))
    assert moved.path == ("root", town.ids["other"], town.ids["acme"])
    web = await tenants.get(ADMIN, town.ids["acme/web"])
    assert (web.place, web.path) == ("other/acme-2/web", (*moved.path, web.id))
    ann = await town.user("ann", "operator", "other")
    assert may(await town.caller(ann, "other/acme-2/web"), "instances.stop", None)
    with pytest.raises(Conflict, match="below it"):
        await tenants.change(ADMIN, "other", TenantChange(parent=town.ids["acme"]))
    with pytest.raises(Invalid, match="below a project"):
        await tenants.change(ADMIN, "other", TenantChange(parent=web.id))
    with pytest.raises(Conflict, match="stays"):
        await tenants.change(ADMIN, "root", TenantChange(parent="other"))


async def test_a_tenant_with_roles_of_its_old_domain_stays_there(town: Town) -> None:
    await town.role("local", RoleRule(ALLOW, "read"), place="acme")
    ann = await town.user("ann", place="acme")
    await town.grant(ann, "local", "acme/web")
    with pytest.raises(Conflict, match="'local'"):
        await town.rights.tenants.change(ADMIN, "acme/web", TenantChange(parent="other"))
    with pytest.raises(NotFound):
        await town.rights.grants.create(ADMIN, NewGrant(role="local", tenant="other", user=ann))


async def test_a_tenant_is_removed_when_it_has_nothing_any_more(town: Town) -> None:
    tenants = town.rights.tenants
    with pytest.raises(Conflict, match="domains or projects"):
        await tenants.destroy(ADMIN, "acme")
    ann = await town.user("ann", "user", "acme/web")
    with pytest.raises(Conflict, match="users"):
        await tenants.destroy(ADMIN, "acme/web")
    await town.rights.users.change(ADMIN, ann, UserChange(tenant="acme/ops"))
    await tenants.destroy(ADMIN, "acme/web")
    with pytest.raises(NotFound):
        await tenants.get(ADMIN, "acme/web")
    assert not await town.rights.grants.page(ADMIN, user=ann)


async def test_names_are_taken_once_where_they_must_be(town: Town) -> None:
    rights = town.rights
    await town.user("ann")
    group = NewGroup(name="crew", tenant="acme")
    await rights.groups.create(ADMIN, group)
    await town.role("mine", RoleRule(ALLOW, "read"))
    for attempt in (
        rights.users.create(ADMIN, NewUser(name="ann")),
        rights.users.create(ADMIN, NewUser(name="admin")),
        rights.groups.create(ADMIN, group),
        rights.tenants.create(ADMIN, "project", NewTenant(name="web", parent="acme")),
        rights.tenants.create(ADMIN, "domain", NewTenant(name="root")),
        rights.roles.create(ADMIN, NewRole(name="mine", rules=(RoleRule(ALLOW, "read"),))),
        rights.roles.create(ADMIN, NewRole(name="admin", rules=(RoleRule(ALLOW, "read"),))),
    ):
        with pytest.raises(Conflict):
            await attempt
    await rights.groups.create(ADMIN, NewGroup(name="crew", tenant="other"))
    with pytest.raises(Conflict, match="several"):
        await rights.groups.get(ADMIN, "crew")


@pytest.mark.parametrize(
    "name", ["", "a b", "-a", "a/b", "ä", "x" * 101, "u-0123456789ab", "a\n", ".."]
)
async def test_what_cannot_be_a_name_is_refused(town: Town, name: str) -> None:
    with pytest.raises(Invalid):
        await town.rights.users.create(ADMIN, NewUser(name=name))


async def test_the_tree_has_a_bottom(town: Town) -> None:
    parent = "acme"
    for depth in range(3, DEEPEST + 1):
        made = await town.rights.tenants.create(
            ADMIN, "domain", NewTenant(name=f"d{depth}", parent=parent)
        )
        parent = made.id
    with pytest.raises(Invalid, match="deep"):
        await town.rights.tenants.create(ADMIN, "domain", NewTenant(name="e", parent=parent))
    with pytest.raises(Invalid, match="deep"):
        await town.rights.tenants.change(ADMIN, "acme", TenantChange(parent="other"))


@pytest.mark.parametrize("rule", ["instances", "instances.fly", "planets.*", "*.fly", "", "Read"])
async def test_a_rule_that_stands_for_nothing_is_refused(town: Town, rule: str) -> None:
    with pytest.raises(Invalid, match="no operations"):
        await town.role("mine", RoleRule(DENY, rule), RoleRule(ALLOW, "*"))


async def test_a_role_that_somebody_has_is_not_removed(town: Town) -> None:
    await town.role("mine", RoleRule(ALLOW, "read"))
    ann = await town.user("ann", "mine", "acme")
    with pytest.raises(Conflict):
        await town.rights.roles.destroy(ADMIN, "mine")
    (grant,) = await town.rights.grants.page(ADMIN, tenant="acme")
    with pytest.raises(Conflict, match="already"):
        await town.grant(ann, "mine", "acme")
    await town.rights.grants.destroy(ADMIN, grant.id)
    await town.rights.roles.destroy(ADMIN, "mine")
    with pytest.raises(Forbidden, match="built-in"):
        await town.rights.roles.destroy(ADMIN, "user")


async def test_each_sees_the_people_of_its_own_tenant_and_below(town: Town) -> None:
    rights = town.rights
    boss = await town.arrived("boss", "domain-admin", "acme")
    await town.arrived("ann", "user", "acme/web")
    stranger = await town.user("stranger", "user", "other/shop")
    assert [user.name for user in await rights.users.page(boss)] == ["ann", "boss"]
    assert [one.place for one in await rights.tenants.page(boss, "project")] == [
        "acme/ops",
        "acme/web",
    ]
    assert {grant.tenant for grant in await rights.grants.page(boss)} == {
        town.ids["acme"],
        town.ids["acme/web"],
    }
    with pytest.raises(NotFound):
        await rights.users.get(boss, stranger)
    with pytest.raises(NotFound):
        await rights.tenants.get(boss, "other")
    (grant,) = await rights.grants.page(ADMIN, user=stranger)
    with pytest.raises(NotFound):
        await rights.grants.destroy(boss, grant.id)
    names = [user.name for user in await rights.users.page(ADMIN)]
    assert names == ["admin", "ann", "boss", "stranger"]


async def test_what_another_process_changed_counts_after_a_moment(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await town.user("ann", "user", "acme/web")
    made = await town.rights.people.create_token(await town.caller(ann), NewToken(name="ci"))
    elsewhere = People(town.rights.people._store)
    assert (await elsewhere.caller_of(made.secret, HERE)).user == ann
    await town.rights.users.change(ADMIN, ann, UserChange(is_enabled=False))
    monkeypatch.setattr("nimbi.broker.people.AGE_S", 0.0)
    monkeypatch.setattr("nimbi.broker.rights.authorization.AGE_S", 0.0)
    with pytest.raises(Forbidden):
        await elsewhere.caller_of(made.secret, HERE)
