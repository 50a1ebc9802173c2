"""The states of instances and the ways between them; needs no login."""

from nimbi.driver.states import StateMachine
from nimbi.frontends.deltacloud import states
from nimbi.frontends.deltacloud.answers import html_reply, json_reply, xml_reply
from nimbi.frontends.deltacloud.exchange import Exchange
from nimbi.frontends.deltacloud.formats import GV, HTML, JSON, PNG
from nimbi.frontends.deltacloud.html import pages
from nimbi.frontends.deltacloud.page_view import page_view
from nimbi.frontends.deltacloud.reply import Reply
from nimbi.frontends.deltacloud.states_picture import as_png


async def show_states(exchange: Exchange) -> Reply:
    machine: StateMachine = states.on_wire(exchange.driver.instance_states)
    if exchange.format is JSON:
        return json_reply(states.as_json(machine))
    if exchange.format is HTML:
        return html_reply(pages.states_page(page_view(exchange), states.as_json(machine)))
    if exchange.format is PNG:
        return Reply(200, as_png(machine), "image/png")
    if exchange.format is GV:
        return Reply(200, states.as_dot(machine).encode(), GV.media_types[0])
    return xml_reply(states.as_xml(machine))
