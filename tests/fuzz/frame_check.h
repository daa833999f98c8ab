// A judge of frames that shares no code with the packet path but the layout of headers.
#pragma once

#include <cstdint>
#include <vector>

namespace headgate::tests {

struct FrameJudgement {
  bool parses = false;           // headers and lengths fit each other and the frame
  bool header_right = true;      // every IPv4 header checksum
  bool transport_right = false;  // that of TCP, UDP or ICMP; true where there is none to check
};

// Looks into tunnels as well. Of a frame that was sent nothing may follow the packet; one that
// comes in may be padded.
[[nodiscard]] FrameJudgement judge(const std::vector<uint8_t>& frame);
[[nodiscard]] FrameJudgement judge_with_padding(const std::vector<uint8_t>& frame);

// The frame that answers one which was sent: addresses and ports the other way, TCP with these
// flags, an inner packet of a tunnel left alone. Empty where nothing can be turned round.
[[nodiscard]] std::vector<uint8_t> answer_to(std::vector<uint8_t> frame, uint8_t tcp_flags);

// Makes the lengths and checksums of an IP packet right, if it is near enough to one.
void repair(std::vector<uint8_t>& frame);

}  // namespace headgate::tests
