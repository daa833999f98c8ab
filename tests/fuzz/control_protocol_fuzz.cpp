// However a stream is cut, the decoder finds the same frames; together they are the stream's
// beginning again; and no payload, whatever it holds, makes the parsers throw.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/protocol.h"

namespace {

using namespace headgate::control::protocol;

constexpr uint32_t max_payload = 4096;

struct Decoded {
  std::vector<Frame> frames;
  std::optional<FrameError> error;

  bool operator==(const Decoded&) const = default;
};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

Decoded decode(std::string_view stream, size_t piece) {
  FrameDecoder decoder(max_payload);
  Decoded decoded;
  while (!stream.empty()) {
    decoder.feed(stream.substr(0, piece));
    stream.remove_prefix(std::min(piece, stream.size()));
    while (true) {
      auto next = decoder.next();
      if (!next) {
        decoded.error = next.error();
        return decoded;
      }
      if (!*next) break;
      require((*next)->payload.size() <= max_payload, "a payload longer than allowed");
      decoded.frames.push_back(std::move(**next));
    }
  }
  return decoded;
}

void parse(const Frame& frame) {
  if (const auto request = parse_request(frame.payload)) {
    const auto again = parse_request(to_payload(*request));
    // Numbers with many digits may lose the last one.
    require(again && again->command == request->command, "a request that does not survive the way");
  } else {
    require(!request.error().empty(), "an error without a word");
  }
  if (const auto status = parse_status(frame.payload)) {
    const auto again = parse_status(to_payload(*status));
    require(again && again->code == status->code && again->message == status->message,
            "a status that does not survive the way");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = data[0] % 64 + 1;
  const std::string_view stream(reinterpret_cast<const char*>(data + 1), size - 1);
  const Decoded whole = decode(stream, stream.size() + 1);
  require(decode(stream, piece) == whole, "frames that depend on how the stream is cut");
  std::string encoded;
  for (const Frame& frame : whole.frames) {
    encoded += encode(frame);
    parse(frame);
  }
  require(stream.starts_with(encoded), "frames that were not in the stream");
  return 0;
}
