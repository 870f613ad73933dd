"""How well maps and boxes meet where people looked: metrics, gaze sets, references and peers, intervals, reports.

    gaze.read ──► maps.score  ──► maps.summary  ──► report
              └─► crops.score ──► crops.summary ──►
         peers.read_boxes ──┘

Needs no more than ``cropper`` itself does. Gaze sets are never part of the project; each function takes their folder or what was
read from it.
"""
