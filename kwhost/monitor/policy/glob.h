/* Globs of path rules (struct kw_policy_path), from where the literal ends. */
#ifndef KW_POLICY_GLOB_H
#define KW_POLICY_GLOB_H

#include "base/types.h"

/* Whether the rest of a path matches. In time proportional to the product of both lengths at worst.
 */
bool glob_matches(const char *pattern, u32 length, const char *path);

/* Whether some path beneath this directory matches, or may, and another does not. */
bool glob_differs_beneath(const char *pattern, u32 length, const char *path);

#endif
