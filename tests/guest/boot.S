/* SPDX-License-Identifier: MIT */
/*
 * boot.S - a boot sector that plays a whole machine for tests/guest/vm.sh: it copies BATCHES * 64 sectors,
 * from sector 1 of the first disk to the beginning of the second, as if a system had run the kit and
 * written its log; then it resets the machine, which ends qemu. With HANG it stays.
 */
        .code16
        .globl  _start
        .equ    BUFFER, 0x8000
        .equ    BATCH, 64

_start: ljmp    $0, $begin
begin:  xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $_start, %sp
        movw    $BATCHES, %bp
.if HANG
stay:   hlt
        jmp     stay
.endif
next:   testw   %bp, %bp
        jz      reset
        incl    sector                  /* the first disk's are one sector behind */
        movb    $0x42, %ah              /* read */
        movb    $0x80, %dl
        call    transfer
        decl    sector
        movb    $0x43, %ah              /* write */
        movb    $0x81, %dl
        call    transfer
        addl    $BATCH, sector
        decw    %bp
        jmp     next

transfer:
        movb    $0, %al
        movw    $packet, %si
        int     $0x13
        jc      reset
        ret

reset:  movb    $0xFE, %al              /* the keyboard controller's line */
        outb    %al, $0x64
        jmp     reset

        .balign 4
packet: .byte   16, 0
        .word   BATCH, BUFFER, 0
sector: .long   0, 0

        .org    510
        .word   0xAA55
