"""Measure how well saliency maps and crop boxes match where people looked.

    gaze.read ──► maps.score  ──► maps.summary  ──► report
              └─► crops.score ──► crops.summary ──►
         peers.read_boxes ──┘

Needs no packages beyond those of ``cropper`` itself. Gaze sets are not part of the project: each function takes a set's folder
or the photos read from it.
"""
