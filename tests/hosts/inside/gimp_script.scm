; Batch code for gimp-console's Script-Fu: one edit with typed arguments; what it returned is
; written down. FOLDER is put in by the test.
(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "FOLDER/photo.png")))
       (photo (vector-ref (car (gimp-image-get-layers image)) 0)))
  (gimp-image-select-rectangle image CHANNEL-OP-REPLACE 40 50 60 70)
  (let* ((layer (car (ganpaint-add #:run-mode RUN-NONINTERACTIVE
                                   #:image image
                                   #:drawables (vector photo)
                                   #:concept "tree"
                                   #:variant "autumn"
                                   #:strength 0.8
                                   #:seed 3
                                   #:context "whole")))
         (port (open-output-file "FOLDER/script-fu.txt")))
    (display (car (gimp-item-get-name layer)) port)
    (newline port)
    (display (car (gimp-drawable-get-width layer)) port)
    (display " " port)
    (display (car (gimp-drawable-get-height layer)) port)
    (newline port)
    (display (vector-length (car (gimp-image-get-layers image))) port)
    (close-output-port port)))
