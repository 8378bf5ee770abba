"""`cable rewrap` and `cable except`: what an officer decides about keys that are asked for again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crypto_msg.envelope import decode_head, read_outer
from crypto_msg.nak import Reason, make_nak
from crypto_msg.wire import Nak
from support.ministry import PASSPHRASE, Ministry
from terminal.asking import NAK
from terminal.folder import Folder
from terminal.terminal import open_terminal

if TYPE_CHECKING:
    from support.commands import Commands


def lose_prekeys(dutabarta: Commands, post: str) -> None:
    folder = Folder(dutabarta.home(post) / "terminals" / "first")
    config = folder.load_config()
    folder.save_keyring(replace(folder.load_keyring(PASSPHRASE), prekeys=()), PASSPHRASE, config.cost)


def alarms(dutabarta: Commands, post: str) -> list[str]:
    found = dutabarta("cable", "list", *dutabarta.at(post), "--json").data["alarms"]
    return [one["code"] for one in found]


def test_a_rewrap_that_nobody_waits_for_is_refused(dutabarta: Commands) -> None:
    cable_id = dutabarta.send("DHA", "DEL").data["cable_id"]
    nobody = dutabarta("cable", "rewrap", cable_id, *dutabarta.at("DHA"))
    assert nobody.code == 1 and "cable list" in nobody.err


def test_an_officer_gives_the_key_once_more(ministry: Ministry, dutabarta: Commands) -> None:
    """A node that shows the sender four NAKs of one day: its officer decides about the fourth."""
    cable_id = dutabarta.send("DHA", "DEL").data["cable_id"]
    for _ in range(4):
        with open_terminal(dutabarta.home("DEL") / "terminals" / "first", PASSPHRASE) as reader:
            reader.publish_prekey()
            session, (item,) = reader.session, ministry.inboxes[reader.session.terminal_id][:1]
            by = read_outer(decode_head(item.content)).terminal_id
            bundle, size = session.keyring.prekeys[-1].bundle_hash, session.view.newest().size
            nak = Nak(item.envelope_id, session.terminal_id, Reason.PREKEY_GONE, bundle, size, by, 0)
            signed = make_nak(nak, session.network_id, session.keyring.terminal_signer)
            session.desk.put_receipt(signed, NAK, item.envelope_id, b"")
        found = alarms(dutabarta, "DHA")
    assert found == ["nak-limit"]
    done = dutabarta("cable", "rewrap", cable_id, *dutabarta.at("DHA"), "--json")
    assert done.data == {"cable_id": cable_id, "answered": 1}
    assert alarms(dutabarta, "DHA") == []


def test_a_cable_whose_prekey_was_lost_is_read(ministry: Ministry, dutabarta: Commands) -> None:
    lost = dutabarta.send("DHA", "DEL").data["cable_id"]
    lose_prekeys(dutabarta, "DEL")
    assert "wrap-not-opened" in alarms(dutabarta, "DEL")
    assert alarms(dutabarta, "DHA") == []
    assert dutabarta("cable", "read", lost, *dutabarta.at("DEL"), "--json").code == 0


def test_an_addressee_is_put_on_the_exception_list(dutabarta: Commands) -> None:
    cable_id = dutabarta.send("DHA", "DEL").data["cable_id"]
    done = dutabarta("cable", "except", cable_id, "DEL", *dutabarta.at("DHA"), "--json")
    assert done.data["excepted"] == ["DEL"]
    again = dutabarta("cable", "except", cable_id, "DEL", *dutabarta.at("DHA"))
    assert again.code == 1 and "hint" in again.err
