//! `.nam` files of several sizes.

use super::*;

#[test]
fn a_smaller_size_of_a_slimmable_wavenet_uses_the_first_channels_of_each_part() {
    // One array of 4 channels with two layers, of which the second is gated.
    let mut random = RandomModels::new(10);
    let full = LayerArray {
        rechannel: random.conv(1, 4, 1, 1, 1, false),
        layers: [4, 8]
            .map(|z| WaveNetLayer {
                conv: random.conv(4, z, 3, 2, 1, true),
                mixin: random.conv(1, z, 1, 1, 1, false),
                activation: Activation::LeakyRelu(vec![0.1, 0.2, 0.3, 0.4]),
                gating: if z == 4 { Gating::None } else { Gating::Gated(Activation::Sigmoid) },
                layer1x1: Some(random.conv(4, 4, 1, 1, 1, true)),
                head1x1: None,
                film: Films { activation_post: Some(random.conv(1, 8, 1, 1, 1, true)), ..Films::default() },
            })
            .into(),
        head: random.conv(4, 1, 2, 1, 1, true),
    };
    let mut weights = Vec::new();
    append(&mut weights, &full.rechannel);
    for l in &full.layers {
        [&l.conv, &l.mixin].into_iter().chain(&l.layer1x1).chain(&l.film.activation_post).for_each(|c| append(&mut weights, c));
    }
    append(&mut weights, &full.head);
    weights.push(0.5);
    let config = json!({"layers": [{
        "input_size": 1, "condition_size": 1, "channels": 4, "kernel_size": 3, "dilations": [2, 2], "gating_mode": ["none", "gated"],
        "activation": {"type": "PReLU", "negative_slopes": [0.1, 0.2, 0.3, 0.4]}, "activation_post_film": {"active": true, "shift": true},
        "head": {"out_channels": 1, "kernel_size": 2, "bias": true},
        "slimmable": {"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [1, 3, 4]}},
    }], "head": null, "head_scale": 1.0});
    let file = nam("WaveNet", config, &weights);
    let parsed = read(&file);
    let below: Vec<f32> = parsed.sizes.iter().map(|s| s.below).collect();
    assert_eq!(below, [1.0 / 3.0, 2.0 / 3.0, 1.0]);
    // The expected slice: the weights at [output][input][tap] of the full convolution.
    let part = |c: &Conv1d, inputs: usize, outputs: usize| {
        let mut weights = Vec::new();
        for o in 0..outputs {
            for i in 0..inputs {
                for k in 0..c.taps {
                    weights.push(c.weights[(o * c.inputs + i) * c.taps + k]);
                }
            }
        }
        Conv1d { inputs, outputs, weights, bias: c.bias.as_ref().map(|b| b[..outputs].to_vec()), ..c.clone() }
    };
    for (size, n) in [1, 3, 4].into_iter().enumerate() {
        let layers = full.layers.iter().map(|l| {
            let z = if l.gating == Gating::None { n } else { 2 * n };
            WaveNetLayer {
                conv: part(&l.conv, n, z),
                mixin: part(&l.mixin, 1, z),
                activation: Activation::LeakyRelu([0.1, 0.2, 0.3, 0.4][..n].into()),
                gating: l.gating.clone(),
                layer1x1: l.layer1x1.as_ref().map(|c| part(c, n, n)),
                head1x1: None,
                film: Films { activation_post: l.film.activation_post.as_ref().map(|c| part(c, 1, 2 * n)), ..Films::default() },
            }
        });
        let array = LayerArray { rechannel: part(&full.rechannel, 1, n), layers: layers.collect(), head: part(&full.head, n, 1) };
        let expected = WaveNet { condition: None, arrays: vec![array], post: Vec::new(), head_scale: 0.5 };
        assert_eq!(parsed.sizes[size].architecture, Some(Architecture::WaveNet(Box::new(expected))), "{n} channels");
    }
    for (value, expected) in [
        (json!([1, 3]), "config.layers[0].slimmable.kwargs.allowed_channels[1]: 3; expected 4, all channels, for the last"),
        (json!([3, 1, 4]), "config.layers[0].slimmable.kwargs.allowed_channels[1]: 1; expected more than 3"),
        (json!([0, 4]), "config.layers[0].slimmable.kwargs.allowed_channels[0]: 0; expected a whole number from 1 to 4"),
    ] {
        let file = changed(&file, "/config/layers/0/slimmable/kwargs/allowed_channels", value);
        assert_eq!(error(file.to_string().as_bytes()), expected);
    }
    let other = changed(&file, "/config/layers/0/slimmable/method", json!("prune"));
    assert_eq!(
        error(other.to_string().as_bytes()),
        "config.layers[0].slimmable.method: 'prune'; expected slice_channels_uniform"
    );
    let all = read(&changed(&file, "/config/layers/0/slimmable/kwargs", json!({})));
    assert_eq!(all.sizes.len(), 4);
}

#[test]
fn the_sizes_of_a_slimmable_wavenet_play_with_any_channels_to_the_head() {
    let mut random = RandomModels::new(12);
    // The second array has 8 channels. Its head accumulator has 4 channels or, with a head1x1, 3.
    for head1x1 in [None, Some(3)] {
        let accumulator_channels = head1x1.unwrap_or(4);
        let mut weights = Vec::new();
        let mut append_conv = |inputs, outputs, taps, bias| append(&mut weights, &random.conv(inputs, outputs, taps, 1, 1, bias));
        for (inputs, channels, head) in [(1, 4, accumulator_channels), (4, 8, 1)] {
            append_conv(inputs, channels, 1, false);
            append_conv(channels, 4, 3, true);
            append_conv(1, 4, 1, false);
            append_conv(4, channels, 1, true);
            if let Some(outputs) = head1x1 {
                append_conv(4, outputs, 1, true);
            }
            append_conv(accumulator_channels, head, 1, true);
        }
        weights.push(0.5);
        let array = |inputs: usize, channels: usize, head: usize| {
            json!({
                "input_size": inputs, "condition_size": 1, "channels": channels, "bottleneck": 4, "kernel_size": 3, "dilations": [1],
                "activation": "Tanh", "head_size": head, "head_bias": true,
                "head1x1": {"active": head1x1.is_some(), "out_channels": accumulator_channels, "groups": 1},
                "slimmable": {"method": "slice_channels_uniform", "kwargs": {}},
            })
        };
        let config = json!({"layers": [array(1, 4, accumulator_channels), array(4, 8, 1)], "head": null, "head_scale": 1.0});
        let model = Model::read(nam("WaveNet", config, &weights).to_string().into_bytes()).unwrap();
        assert!(model.sizes().len() > 4);
        for size in 0..model.sizes().len() {
            let mut state = model.network(size).clone().state(StateSpec::new(1)).unwrap();
            let mut output = [0.1; 64];
            state.process(&mut [&mut output], &[]);
            assert!(output.iter().all(|x| x.is_finite() && *x != 0.1), "size {size}");
        }
    }
}
