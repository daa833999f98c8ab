-- wrk stops after so many answers, every tenth request ends its connection, and the last line says
-- what became of them: wrk -t1 ... -s requests.lua URL -- NUMBER [PAUSE], with so many milliseconds
-- before each request
local wanted, pause, asked, answered, keep, close

function init(arguments)
  wanted = tonumber(arguments[1])
  pause = tonumber(arguments[2])
  if pause then delay = function() return pause end end
  asked, answered = 0, 0
  keep = wrk.format(nil, "/")
  close = wrk.format(nil, "/", {Host = wrk.headers.Host, Connection = "close"})
end

function request()
  asked = asked + 1
  return asked % 10 == 0 and close or keep
end

function response()
  answered = answered + 1
  if answered == wanted then
    wrk.thread:stop()
    -- wrk itself would wait for the end of its time; a signal ends the wait, but not each does.
    io.popen("for i in 1 2 3 4 5; do kill -INT $PPID 2>/dev/null || break; sleep 0.1; done")
  end
end

function done(summary)
  local e = summary.errors
  print(string.format("answers %d failed %d (connect %d read %d write %d timeout %d status %d)",
    summary.requests, e.connect + e.read + e.write + e.timeout + e.status, e.connect, e.read,
    e.write, e.timeout, e.status))
end
