/* The C side of perlxs, a file for each room of it. They are compiled as one: most functions are
 * static, and the compiler puts those of guard.c into their callers. */
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "guard.c"
#include "guard_signals.c"
#include "xsub.c"
#include "module.c"
#include "interp.c"
#include "scalar.c"
#include "bytes.c"
#include "handle.c"
#include "code.c"
#include "reference.c"
#include "aggregate.c"
#include "array.c"
#include "hash.c"
#include "object.c"
#include "closure.c"
#include "taint.c"
#include "syscall.c"

/* the feature `process` */
#ifdef PERLXS_PROCESS
#include "perliol.h"
#include <stdio_ext.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>

#include "process.c"
#include "guest.h"
#include "guest_signals.c"
#include "guest_library.c"
#include "guest_layers.c"
#include "guest_handles.c"
#include "guest_io.c"
#include "copy.c"
#include "guest.c"
#endif
