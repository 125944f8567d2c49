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

static void integers(void) {
    volatile uint64_t result;
    uint64_t value = 88172645463325252ull;
    for (int i = 0; i < 500000; i++) {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
    }
    result = value;
    (void)result;
}

static void digests(void) {
    static uint8_t buffer[64 << 10];
    static uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t at = 0; at < sizeof buffer; at += 64)
        digest_block(state, buffer + at);
}

static void floats(void) {
    volatile double result;
    double sum = 0;
    for (int i = 1; i < 500000; i++)
        sum += 1.0 / ((double)i * (double)i);
    result = sum;
    (void)result;
}

static void run(const char *name, void (*work)(void), long count) {
    struct pieces pieces = pieces_for((size_t)count);
    for (long i = 0; i < count; i++) {
        uint64_t start = now_ns();
        work();
        piece_add(&pieces, now_ns() - start);
    }
    tell(name, piece_at(&pieces, 0.1));
}

int main(int argc, char **argv) {
    long count = argument(argc, argv, 1);
    make_constants();
    run("integers_ns", integers, count);
    run("sha256_ns", digests, count);
    run("floats_ns", floats, count);
    return 0;
}
