-- The highest rate at which headgate loses nothing, after RFC 2544 section 26.1: halves the interval
-- until it is narrower than PRECISION percent of the line, then confirms with a longer run.
--
--   GATE_MAC=... [FLOWS=1000] [SIZE=64] [FAMILY=4] [PROTOCOL=udp] [SECONDS=10] [CONFIRM_SECONDS=60]
--   [PRECISION=0.5] [LOSS=0] [CLIENT_PORT=0] [SERVER_PORT=1] pktgen ... -f throughput.lua
--
-- LOSS is the share of frames, in percent, that may be missing. One way, client to server.
package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "?.lua;" .. package.path
local bed = require("bed")

local confirm_seconds = tonumber(os.getenv("CONFIRM_SECONDS") or 60)
local precision = tonumber(os.getenv("PRECISION") or 0.5)
local loss = tonumber(os.getenv("LOSS") or 0)

local function passes(rate, seconds)
  local sent, arrived = bed.run(rate, seconds)
  local missing = sent - arrived
  print(string.format("%6.2f %% of the line: %d sent, %d arrived, %d missing, %.3f Mpps", rate, sent,
    arrived, missing, arrived / seconds / 1e6))
  -- More than was sent: frames of somebody else, and nothing can be said of ours.
  return sent > 0 and missing >= 0 and missing <= sent * loss / 100, arrived / seconds / 1e6
end

bed.load()
print(string.format("%d flows, IPv%d, %s, frames of %d bytes", bed.flows, bed.family, bed.protocol, bed.size))
local low, high = 0, 100
if passes(high, bed.seconds) then
  low = high
else
  while high - low > precision do
    local middle = (low + high) / 2
    if passes(middle, bed.seconds) then low = middle else high = middle end
  end
end
-- A rate that held for a short run may not hold for a long one.
while low > 0 do
  local held, mpps = passes(low, confirm_seconds)
  if held then
    print(string.format("RESULT %.2f %% of the line, %.3f Mpps, held for %d s", low, mpps, confirm_seconds))
    break
  end
  low = low - precision
end
if low <= 0 then print("RESULT none: frames are missing at every rate") end
