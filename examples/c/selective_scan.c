/*
 * Mamba's selective scan and its causal convolution in C, for
 *   cc -O2 -o scan selective_scan.c -lm
 *   npx selscan verify --op selective_scan --exec ./scan
 * It answers every case of a folder in another folder.
 */
#include <dirent.h>
#include <math.h>

#include "casefiles.h"

static float silu(float x) { return x / (1 + expf(-x)); }

/* log(1 + exp(x)), and x itself above 20, as torch has it. */
static float softplus(float x) { return x > 20 ? x : log1pf(expf(x)); }

/* B or C in any of its three forms: element n of channel d at token t. */
typedef struct {
  Tensor t;
  long batch_stride, channels_per_group, group_stride, state_stride, token_stride;
} Matrix;

static Matrix matrix(Tensor t, long channels, long seqlen) {
  Matrix m = {.t = t, .channels_per_group = 1};
  if (t.axes == 2) { /* (channels, dState): the same for every token */
    m.group_stride = t.shape[1];
    m.state_stride = 1;
    return m;
  }
  /* (batch, dState, seqlen), or (batch, groups, dState, seqlen): consecutive channels share a group */
  long groups = t.axes == 4 ? t.shape[1] : 1;
  long dState = t.shape[t.axes - 2];
  m.channels_per_group = channels / groups;
  m.batch_stride = groups * dState * seqlen;
  m.group_stride = dState * seqlen;
  m.state_stride = seqlen;
  m.token_stride = 1;
  return m;
}

static float element(const Matrix *m, long b, long d, long n, long t) {
  return m->t.data[b * m->batch_stride + d / m->channels_per_group * m->group_stride +
                   n * m->state_stride + t * m->token_stride];
}

/* u, delta, z, out: (batch, channels, seqlen); A: (channels, dState); D, delta_bias: (channels). */
static void selective_scan(CaseFile c, const char *path) {
  Tensor u = required(c, "u"), delta = required(c, "delta"), A = required(c, "A");
  Tensor b_in = required(c, "B"), c_in = required(c, "C");
  Tensor D = input(c, "D"), z = input(c, "z"), bias = input(c, "delta_bias");
  Tensor state = input(c, "initial_state");
  int has_softplus = says(c, "{\\\"delta_softplus\\\":true");
  long batch = u.shape[0], channels = u.shape[1], seqlen = u.shape[2], dState = A.shape[1];
  Matrix B = matrix(b_in, channels, seqlen), C = matrix(c_in, channels, seqlen);
  if (!state.data) state = zeros(3, (long[]){batch, channels, dState});
  Tensor out = zeros(3, u.shape);

  for (long b = 0; b < batch; b++) {
    for (long d = 0; d < channels; d++) {
      float *h = state.data + (b * channels + d) * dState;
      for (long t = 0; t < seqlen; t++) {
        long i = (b * channels + d) * seqlen + t;
        float dt = delta.data[i] + (bias.data ? bias.data[d] : 0);
        if (has_softplus) dt = softplus(dt);
        float y = 0;
        for (long n = 0; n < dState; n++) {
          h[n] = expf(dt * A.data[d * dState + n]) * h[n] +
                 dt * u.data[i] * element(&B, b, d, n, t);
          y += h[n] * element(&C, b, d, n, t);
        }
        if (D.data) y += D.data[d] * u.data[i];
        out.data[i] = z.data ? y * silu(z.data[i]) : y;
      }
    }
  }
  write_outputs(path, 2, (const char *[]){"out", "last_state"}, (Tensor[]){out, state});

  Tensor all[] = {u, delta, A, b_in, c_in, D, z, bias, state, out};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i].data);
}

/* x, out: (batch, channels, seqlen); weight: (channels, width), the last one meets the current token. */
static void causal_conv1d(CaseFile c, const char *path) {
  Tensor x = required(c, "x"), weight = required(c, "weight"), bias = input(c, "bias");
  Tensor before = input(c, "initial_states");
  int has_silu = says(c, "\\\"activation\\\":\\\"silu\\\"");
  long batch = x.shape[0], channels = x.shape[1], seqlen = x.shape[2];
  long width = weight.shape[1], kept = width - 1;
  if (!before.data) before = zeros(3, (long[]){batch, channels, kept});
  Tensor out = zeros(3, x.shape), after = zeros(3, before.shape);
  float *line = allocate((kept + seqlen) * sizeof(float)); /* what one channel has seen */

  for (long row = 0; row < batch * channels; row++) {
    const float *w = weight.data + row % channels * width;
    memcpy(line, before.data + row * kept, kept * sizeof(float));
    memcpy(line + kept, x.data + row * seqlen, seqlen * sizeof(float));
    for (long t = 0; t < seqlen; t++) {
      float y = bias.data ? bias.data[row % channels] : 0;
      for (long k = 0; k < width; k++) y += w[k] * line[t + k];
      out.data[row * seqlen + t] = has_silu ? silu(y) : y;
    }
    memcpy(after.data + row * kept, line + seqlen, kept * sizeof(float));
  }
  write_outputs(path, 2, (const char *[]){"out", "final_states"}, (Tensor[]){out, after});

  Tensor all[] = {x, weight, bias, before, out, after};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i].data);
  free(line);
}

int main(int argc, char **argv) {
  if (argc != 3) die("expected a folder of cases and one for the outputs", argv[0]);
  DIR *folder = opendir(argv[1]);
  if (!folder) die("cannot be opened", argv[1]);
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    char in[4096], out[4096];
    snprintf(in, sizeof in, "%s/%s", argv[1], entry->d_name);
    snprintf(out, sizeof out, "%s/%s", argv[2], entry->d_name);
    CaseFile c = read_case(in);
    if (says(c, "\"op\":\"selective_scan")) selective_scan(c, out);
    else if (says(c, "\"op\":\"causal_conv1d\"")) causal_conv1d(c, out);
    else die("no kernel for this op", entry->d_name);
    free_case(c);
  }
  closedir(folder);
  return 0;
}
