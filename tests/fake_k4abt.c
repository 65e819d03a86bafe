/* A stand-in for libk4abt: one body in a capture whose depth image holds anything, with joint i at (10 i, 20 i,
 * 1000 + i) mm and confidence level i % 4. FAKE_K4ABT: "" as said, "nocreate" does not start, "ghost" sees a body in
 * an empty image, "silent" never answers, "fails" fails at the second capture, "crowd" sees a thousand bodies. It calls
 * libk4a as the true one does: captures must be of the library that it finds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { float position[3], orientation[4]; int confidence; } joint;
typedef struct { int orientation, processing; int32_t gpu; const char *model; } configuration;
extern void *k4a_capture_get_depth_image(void *);
extern uint8_t *k4a_image_get_buffer(void *);
extern size_t k4a_image_get_size(void *);
extern void k4a_image_release(void *);

static int trackers, frames, queued, captures;
static uint32_t bodies;
int fake_alive(void) { return trackers + frames; }
static int is(const char *word) { const char *s = getenv("FAKE_K4ABT"); return s && !strcmp(s, word); }

int k4abt_tracker_create(const void *calibration, configuration c, void **t) {
  if (is("nocreate") || c.orientation || c.processing || c.gpu || c.model) return 1;
  trackers++; captures = 0; *t = &trackers;
  return 0;
}
void k4abt_tracker_shutdown(void *t) {}
void k4abt_tracker_destroy(void *t) { trackers--; }
int k4abt_tracker_enqueue_capture(void *t, void *capture, int32_t timeout) {
  void *depth = k4a_capture_get_depth_image(capture);
  if (!depth || (++captures == 2 && is("fails"))) return 1;
  uint8_t *data = k4a_image_get_buffer(depth);
  size_t size = k4a_image_get_size(depth);
  bodies = is("ghost");
  for (size_t i = 0; i < size; i++) if (data[i]) { bodies = is("crowd") ? 1000 : 1; break; }
  k4a_image_release(depth);
  queued = 1;
  return 0;
}
int k4abt_tracker_pop_result(void *t, void **frame, int32_t timeout) {
  if (!queued || is("silent")) return 2;
  queued = 0; frames++; *frame = &frames;
  return 0;
}
uint32_t k4abt_frame_get_num_bodies(void *f) { return bodies; }
int k4abt_frame_get_body_skeleton(void *f, uint32_t body, joint *joints) {
  for (int i = 0; i < 32; i++) {
    joints[i].position[0] = 10 * i; joints[i].position[1] = 20 * i; joints[i].position[2] = 1000 + i;
    joints[i].confidence = i % 4;
  }
  return body < bodies ? 0 : 1;
}
uint32_t k4abt_frame_get_body_id(void *f, uint32_t body) { return 7; }
void k4abt_frame_release(void *f) { frames--; }
