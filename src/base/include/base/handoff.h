/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For ThreadSanitizer: it does not see the locks inside GLib, which is not built with it, and would take everything
 * that goes from one thread to another through a thread pool or the main loop for a race. So whoever hands an object
 * over says so at both ends. Elsewhere these are nothing.
 */
#pragma once

#if defined(__SANITIZE_THREAD__)
#define DM_HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DM_HAS_TSAN 1
#endif
#endif

#ifdef DM_HAS_TSAN
#include <sanitizer/tsan_interface.h>
#define DM_HAND_OVER(object) __tsan_release(object)
#define DM_TAKE_OVER(object) __tsan_acquire(object)
#else
#define DM_HAND_OVER(object) ((void)(object))
#define DM_TAKE_OVER(object) ((void)(object))
#endif
