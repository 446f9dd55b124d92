/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For ThreadSanitizer: it does not see the locks of GLib, which is not instrumented, and would report a race for
 * everything passed between threads by a thread pool or the main loop. So both ends of a handover are annotated. In
 * other builds these expand to nothing.
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
