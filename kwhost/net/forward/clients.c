#include "clients.h"

#include <string.h>

static uint64_t mix(uint64_t value) {
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93u;
    return value ^ value >> 32;
}

static uint64_t hash(uint64_t seed, uint32_t serial, const union address *address) {
    uint64_t words[(sizeof(*address) + 7) / 8] = {0};
    memcpy(words, address, sizeof(*address));
    uint64_t result = mix(seed ^ serial);
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        result = mix(result ^ seed ^ words[i]);
    return result;
}

static bool is_same(const struct client *client, uint32_t serial, const union address *address) {
    return client->used && client->serial == serial &&
           memcmp(&client->address, address, sizeof(*address)) == 0;
}

static bool is_better(const struct client *client, const struct client *than) {
    return client->used != than->used ? !client->used : client->heard_ms < than->heard_ms;
}

uint32_t clients_place(struct clients *clients, uint32_t serial, const union address *address,
                       uint64_t at_ms, bool *fresh) {
    uint64_t group = hash(clients->seed, serial, address) % (clients->count / CLIENTS_WAYS);
    uint32_t first = (uint32_t)group * CLIENTS_WAYS;
    uint32_t best = first;
    for (uint32_t at = first; at < first + CLIENTS_WAYS; at++) {
        if (is_same(&clients->places[at], serial, address)) {
            clients->places[at].heard_ms = at_ms;
            *fresh = false;
            return at;
        }
        if (is_better(&clients->places[at], &clients->places[best]))
            best = at;
    }
    clients->places[best] =
        (struct client){.used = true, .serial = serial, .address = *address, .heard_ms = at_ms};
    *fresh = true;
    return best;
}
