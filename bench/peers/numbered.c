/* Makes the requests of h2load differ. It posts one file again and again, and reads it anew for each request; loaded
   into it (LD_PRELOAD), this puts the next number, in ten digits, at one place of what was read:
   NUMBER_AT: the place; NUMBER_FROM: the first number; NUMBERS: how many there are, 0: without end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIGITS 10

static unsigned long told(const char *name) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : 0;
}

ssize_t pread(int file, void *into, size_t size, off_t at) {
    static ssize_t (*libc_pread)(int, void *, size_t, off_t);
    static unsigned long place, next, numbers;
    char digits[DIGITS + 1];
    ssize_t got;

    if (!libc_pread) {
        libc_pread = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
        place = told("NUMBER_AT");
        next = told("NUMBER_FROM");
        numbers = told("NUMBERS");
    }
    got = libc_pread(file, into, size, at);
    if (at == 0 && got >= (ssize_t)(place + DIGITS)) {
        snprintf(digits, sizeof digits, "%010lu", numbers ? next % numbers : next);
        memcpy((char *)into + place, digits, DIGITS);
        next++;
    }
    return got;
}
