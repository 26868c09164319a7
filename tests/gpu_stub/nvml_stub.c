/* A stand-in for NVIDIA's management library, for tests on machines without a GPU.
 *
 * The real Python binding loads it as `libnvidia-ml.so.1`. At every call it reads the file that the variable
 * NVML_STUB_STATE names, so that a test can change the world while a meter looks at it. One statement a line:
 *
 *   init CODE                                     what initialisation returns; 0 where there is no such line
 *   gpu UUID NAME TOTAL USED BUSY CODE            a GPU: bytes, bytes, percent; CODE is what reading it returns
 *   mig PARENT UUID TOTAL USED                    a partition of GPU number PARENT, which then is split
 *   process UUID PID BYTES KIND                   BYTES may be -1: not told; KIND is C (computes) or G (draws)
 *   limits CODE                                   what setting a control group's memory limit returns
 *   sleep MILLISECONDS                            how long every reading takes
 *
 * Without the variable there is no driver.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT = 7, NO_DRIVER = 9 };
enum { DEVICES = 16, PROCESSES = 64, TEXT = 96 };

typedef unsigned long long u64;
typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } ProcessInfo;
typedef struct { u64 total, free, used; } Memory;
typedef struct { unsigned version; u64 total, reserved, free, used; } MemoryV2;
typedef struct { unsigned gpu, memory; } Rates;
typedef struct { const char *group; u64 soft, hard; } SetLimits;
typedef struct { const char *group; u64 soft, hard, used; } GetLimits;

typedef struct { char uuid[TEXT], name[TEXT]; u64 total, used; unsigned busy; int code, parent; } Device;
typedef struct { char uuid[TEXT]; unsigned pid; long long bytes; char kind; } Process;
typedef struct {
    int init, limits, sleep_ms, devices, processes;
    Device device[DEVICES];
    Process process[PROCESSES];
} World;

static u64 hard_limit[DEVICES];

static World look(void) {
    World world;
    char line[512];
    memset(&world, 0, sizeof world);
    world.limits = NOT_SUPPORTED;
    const char *path = getenv("NVML_STUB_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) {
        world.init = NO_DRIVER;
        return world;
    }
    while (fgets(line, sizeof line, file)) {
        Device *device = &world.device[world.devices];
        Process *process = &world.process[world.processes];
        device->parent = -1;
        if (sscanf(line, "init %d", &world.init) == 1 || sscanf(line, "limits %d", &world.limits) == 1 ||
            sscanf(line, "sleep %d", &world.sleep_ms) == 1)
            continue;
        if (sscanf(line, "gpu %95s %95s %llu %llu %u %d", device->uuid, device->name, &device->total,
                   &device->used, &device->busy, &device->code) == 6 && world.devices < DEVICES - 1)
            world.devices++;
        else if (sscanf(line, "mig %d %95s %llu %llu", &device->parent, device->uuid, &device->total,
                        &device->used) == 4 && world.devices < DEVICES - 1) {
            strcpy(device->name, "partition");
            world.devices++;
        } else if (sscanf(line, "process %95s %u %lld %c", process->uuid, &process->pid, &process->bytes,
                          &process->kind) == 4 && world.processes < PROCESSES - 1)
            world.processes++;
    }
    fclose(file);
    return world;
}

/* A handle is the device's place in the file, counted from 1. */
static Device *device_of(World *world, void *handle) {
    size_t place = (size_t)handle;
    return place >= 1 && place <= (size_t)world->devices ? &world->device[place - 1] : NULL;
}

static int whole(World *world, unsigned index) {
    for (int i = 0; i < world->devices; i++)
        if (world->device[i].parent < 0 && index-- == 0) return i;
    return -1;
}

int nvmlInit_v2(void) { return look().init; }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return look().init; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    World world = look();
    for (*count = 0; whole(&world, *count) >= 0;) ++*count;
    return world.init;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    World world = look();
    int place = whole(&world, index);
    *handle = (void *)(size_t)(place + 1);
    return place < 0 ? INVALID : SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    World world = look();
    for (int i = 0; i < world.devices; i++)
        if (!strcmp(world.device[i].uuid, uuid)) {
            *handle = (void *)(size_t)(i + 1);
            return world.device[i].code;
        }
    return NOT_FOUND;
}

static int text(void *handle, char *out, unsigned length, int name) {
    World world = look();
    Device *device = device_of(&world, handle);
    if (!device) return INVALID;
    snprintf(out, length, "%s", name ? device->name : device->uuid);
    return SUCCESS;
}
int nvmlDeviceGetUUID(void *handle, char *out, unsigned length) { return text(handle, out, length, 0); }
int nvmlDeviceGetName(void *handle, char *out, unsigned length) { return text(handle, out, length, 1); }

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    World world = look();
    Device *device = device_of(&world, handle);
    if (!device) return INVALID;
    *memory = (Memory){device->total, device->total - device->used, device->used};
    return device->code;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, MemoryV2 *memory) {
    World world = look();
    Device *device = device_of(&world, handle);
    if (!device) return INVALID;
    *memory = (MemoryV2){memory->version, device->total, 0, device->total - device->used, device->used};
    return device->code;
}

static int processes(void *handle, unsigned *count, ProcessInfo *infos, char kind) {
    World world = look();
    Device *device = device_of(&world, handle);
    unsigned room = infos ? *count : 0, found = 0;
    if (!device) return INVALID;
    if (device->code) return device->code;
    if (kind == 'C' && !infos) usleep((useconds_t)world.sleep_ms * 1000);
    for (int i = 0; i < world.processes; i++) {
        Process *process = &world.process[i];
        if (strcmp(process->uuid, device->uuid) || process->kind != kind) continue;
        if (found < room) infos[found] = (ProcessInfo){process->pid, (u64)process->bytes, 0, 0};
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT : SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *h, unsigned *n, ProcessInfo *p) { return processes(h, n, p, 'C'); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *h, unsigned *n, ProcessInfo *p) { return processes(h, n, p, 'G'); }
/* Multi-Process Service is not offered: the binding meets a function that is missing, as with older drivers. */

int nvmlDeviceGetUtilizationRates(void *handle, Rates *rates) {
    World world = look();
    Device *device = device_of(&world, handle);
    if (!device || device->parent >= 0) return NOT_SUPPORTED;
    *rates = (Rates){device->busy, 0};
    return device->code;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    (void)handle;
    *count = 7;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **partition) {
    World world = look();
    int parent = -1;
    for (int i = 0; i < world.devices && i < (int)(size_t)handle; i++) parent += world.device[i].parent < 0;
    for (int i = 0; i < world.devices; i++)
        if (world.device[i].parent == parent && index-- == 0) {
            *partition = (void *)(size_t)(i + 1);
            return SUCCESS;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    void *partition;
    *current = *pending = nvmlDeviceGetMigDeviceHandleByIndex(handle, 0, &partition) == SUCCESS;
    return SUCCESS;
}

int nvmlDeviceSetMemoryLimits_v1(void *handle, SetLimits *limits) {
    World world = look();
    Device *device = device_of(&world, handle);
    if (!device) return INVALID;
    if (world.limits == SUCCESS) hard_limit[device - world.device] = limits->hard;
    return world.limits == -1 ? SUCCESS : world.limits; /* -1: says yes, and does nothing */
}

int nvmlDeviceGetMemoryLimits_v1(void *handle, GetLimits *limits) {
    World world = look();
    Device *device = device_of(&world, handle);
    if (!device) return INVALID;
    u64 set = hard_limit[device - world.device];
    limits->hard = set ? set : ~0ULL;
    return SUCCESS;
}
