"""Why a packet was refused: the numbers that the tables count under."""

from enum import Enum

__all__ = ["Reason"]


class Reason(Enum):
    """The tables name them `$` and the name in lower case."""

    OTHER_TENANT = 1
    HOST = 2
    SPECIAL_ADDRESS = 3
    EGRESS = 4
    CONNECTIONS = 5
    ISOLATED = 6
    NOT_PUBLISHED = 7
    PACKET_RATE = 8
    UPLINK = 9
    HARDWARE_ADDRESS = 16
    FALSE_ARP = 17
    SOURCE_ADDRESS = 18
    FOREIGN_PROTOCOL = 19
    NEIGHBOUR_DISCOVERY = 20
