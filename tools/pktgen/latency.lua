-- The time from Pktgen's client port through headgate to its server port: probes of Pktgen's between
-- the frames of a load. For dr, nat and fullnat over IPv4: in a tunnel Pktgen does not find its probes.
--
--   GATE_MAC=... [RATE=50] [SECONDS=10] [PROBE_US=1000] [SAMPLES=10000] [OUTPUT=latency.txt]
--   [SIZE=64] [CLIENT_PORT=0] [SERVER_PORT=1] pktgen ... -f latency.lua
--
-- RATE is in percent of the line: take a share of what throughput.lua found. The load is one flow to
-- the VIP. Each sample is a line of OUTPUT, in nanoseconds; Pktgen's `page latency` shows them while
-- it runs. What no headgate would add: two ports joined by a cable, measured the same way.
package.path = debug.getinfo(1, "S").source:match("^@(.*/)") .. "?.lua;" .. package.path
local bed = require("bed")

local rate = tonumber(os.getenv("RATE") or 50)
local probe_us = tonumber(os.getenv("PROBE_US") or 1000)
local samples = tonumber(os.getenv("SAMPLES") or 10000)
local output = os.getenv("OUTPUT") or "latency.txt"

local function percentile(sorted, percent)
  return sorted[math.max(1, math.ceil(#sorted * percent / 100))]
end

bed.probe()
pktgen.latency(bed.client, "rate", probe_us)
pktgen.latency(bed.client, "enable") -- sends probes
pktgen.latency(bed.server, "enable") -- looks for them
-- Of the samples' rate only this matters: faster than the probes, so that each is taken.
pktgen.latsampler_params(bed.server, "simple", samples, 1000000, output)
pktgen.latsampler(bed.server, "on")
local sent, arrived = bed.run(rate, bed.seconds)
pktgen.latsampler(bed.server, "off") -- writes the file
pktgen.latency(bed.client, "disable")
pktgen.latency(bed.server, "disable")

local times = {}
for line in io.lines(output) do
  local nanoseconds = tonumber(line) -- the first line is a heading
  if nanoseconds ~= nil then times[#times + 1] = nanoseconds end
end
table.sort(times)
print(string.format("%g %% of the line: %d sent, %d arrived", rate, sent, arrived))
if #times == 0 then
  print("RESULT none: no probe came back; README.md says why that may be")
else
  print(string.format("RESULT %d probes, us: min %.2f median %.2f p99 %.2f max %.2f", #times,
    times[1] / 1e3, percentile(times, 50) / 1e3, percentile(times, 99) / 1e3, times[#times] / 1e3))
end
