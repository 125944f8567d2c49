/* compute ROUNDS: work that never leaves the processor: dependent integer arithmetic, SHA-256 over
 * a buffer that fits the cache, and floating point. Prints the time of each. */
#include <string.h>

#include "measure.h"

static uint32_t rotate(uint32_t value, unsigned bits) {
    return value >> bits | value << (32 - bits);
}

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static uint32_t round_constant[64];

static uint32_t cube_root_fraction(uint32_t prime) {
    /* floor(cbrt(prime) * 2^32) by bisection in integers wide enough for its cube. */
    uint64_t low = 0, high = 8ull << 32;
    while (high - low > 1) {
        uint64_t middle = (low + high) / 2;
        unsigned __int128 square = (unsigned __int128)middle * middle >> 32;
        unsigned __int128 cube = square * middle >> 32;
        if (cube >> 32 < prime)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void make_constants(void) {
    uint32_t found = 0;
    for (uint32_t candidate = 2; found < 64; candidate++) {
        uint32_t divisor = 2;
        while (divisor * divisor <= candidate && candidate % divisor)
            divisor++;
        if (divisor * divisor > candidate)
            round_constant[found++] = cube_root_fraction(candidate);
    }
}

/* FIPS 180-4, 6.2.2. */
static void digest_block(uint32_t state[8], const uint8_t block[64]) {
    uint32_t words[64], work[8];
    for (int i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = words[i - 15], b = words[i - 2];
        words[i] = words[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + words[i - 7] +
                   (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
    }
    memcpy(work, state, sizeof work);
    for (int i = 0; i < 64; i++) {
        uint32_t a = work[0], e = work[4];
        uint32_t one = work[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                       ((e & work[5]) ^ (~e & work[6])) + round_constant[i] + words[i];
        uint32_t two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                       ((a & work[1]) ^ (a & work[2]) ^ (work[1] & work[2]));
        memmove(work + 1, work, 7 * sizeof *work);
        work[4] += one;
        work[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += work[i];
}

static uint64_t integers(long rounds) {
    uint64_t value = 88172645463325252ull;
    for (long i = 0; i < rounds * 1000000; i++) {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
    }
    return value;
}

static uint32_t digests(long rounds) {
    static uint8_t buffer[64 << 10];
    uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    make_constants();
    for (long i = 0; i < rounds; i++)
        for (size_t at = 0; at < sizeof buffer; at += 64)
            digest_block(state, buffer + at);
    return state[0];
}

static double floats(long rounds) {
    double sum = 0;
    for (long i = 1; i < rounds * 1000000; i++)
        sum += 1.0 / ((double)i * (double)i);
    return sum;
}

int main(int argc, char **argv) {
    long rounds = argument(argc, argv, 1);
    uint64_t start = now_ns();
    volatile uint64_t value = integers(rounds);
    tell("integers_ns", (double)(now_ns() - start));
    start = now_ns();
    value = digests(rounds * 2);
    tell("sha256_ns", (double)(now_ns() - start));
    start = now_ns();
    volatile double sum = floats(rounds / 2 + 1);
    tell("floats_ns", (double)(now_ns() - start));
    (void)value;
    (void)sum;
    return 0;
}
